"""Operators that put channels one after the other: cat and stack."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from scfx.signatures.binding import SignatureError
from scfx.signatures.call import Call, Dims
from scfx.signatures.coded import Coded
from scfx.signatures.record import Record
from scfx.terms.dims import ONE, concat
from scfx.terms.facts import Fact, Zeros, both, chained, everything, unknown


def _listed(call: Call) -> list[str]:
    """The operands of the tensor list, without the legacy empty ones of shape (0,)."""
    rank = len(call.result_shapes[0])
    if call.target in _STACKED and any(call.rank(name) != rank for name in call.operands):
        raise SignatureError("operands gain dims before they are concatenated")
    return [name for name in call.operands if call.rank(name) == rank and (rank > 1 or call.shape(name) != (0,))]


def _unify_others(call: Call, names: list[str], at: int | None) -> Dims:
    """Lines up all dims but one; returns those of the first operand."""
    first = call.operands[names[0]]
    for name in names[1:]:
        for index, (a, b) in enumerate(zip(first, call.operands[name], strict=True)):
            if index != at:
                call.unify(a, b)
    return first


def _place(call: Call) -> int:
    """The dimension along which to concatenate."""
    rank = len(call.result_shapes[0])
    if "dim" in call.arguments:
        return call.dim("dim", rank)
    return min(_STACKED[call.target], rank - 1)


_STACKED = {
    "aten.vstack.default": 0,
    "aten.hstack.default": 1,
    "aten.column_stack.default": 1,
    "aten.dstack.default": 2,
}


def _cat(call: Call) -> tuple[Dims, ...]:
    names = _listed(call)
    if not names:
        return (tuple(call.fresh(size) for size in call.result_shapes[0]),)
    at = _place(call)
    first = _unify_others(call, names, at)
    return ((*first[:at], concat(*(call.operands[name][at] for name in names)), *first[at + 1 :]),)


def _cat_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    shape = call.result_shapes[0]
    operands = [facts[name] for name in _listed(call)]
    if not operands:
        return (Zeros.unknown(shape),)
    at = _place(call)
    made = [
        chained([zeros.fact(at) for zeros in operands])
        if index == at
        else reduce(both, (zeros.fact(index) for zeros in operands))
        for index in range(len(shape))
    ]
    return (Zeros.of(made, all(zeros.whole for zeros in operands)),)


def _stack(call: Call) -> tuple[Dims, ...]:
    names = list(call.operands)
    first = _unify_others(call, names, None)
    at = call.dim("dim", len(call.result_shapes[0]))
    return ((*first[:at], concat(*(ONE for _ in names)), *first[at:]),)


def _stack_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operands = [facts[name] for name in call.operands]
    at = call.dim("dim", len(call.result_shapes[0]))
    made: list[Fact] = [reduce(both, (zeros.fact(d) for zeros in operands)) for d in range(len(operands[0].dims))]
    made.insert(at, chained([everything(1) if zeros.whole else unknown(1) for zeros in operands]))
    return (Zeros.of(made, all(zeros.whole for zeros in operands)),)


RECORDS: tuple[Record, ...] = (
    Coded(
        targets=("aten.cat.default", "aten.concat.default", "aten.concatenate.default"),
        doc="concatenation",
        dims=_cat,
        zero=_cat_zeros,
        copies=True,
        samples=(
            "op([t(B, 3, 4), t(B, 2, 4)], 1)",
            "op([t(B, 3, 1), t(B, 3, 4), t(B, 3, 2)], -1)",
            "op([t(2, 3), t(4, 3)])",
            "op([t(0), t(2, 3), t(2, 4)], 1)",
            "op([t(3, 0), t(3, 4)], 1)",
            "op([t(4)])",
            "op([t(B, 4), t(B, 4)], 0)",
        ),
    ),
    Coded(
        targets=tuple(_STACKED),
        doc="concatenation along a given dim",
        dims=_cat,
        zero=_cat_zeros,
        copies=True,
        samples=("op([t(2, 3, 4), t(2, 3, 4)])",),
        refused=("vstack.default([t(3), t(3)])",),
    ),
    Coded(
        targets=("aten.stack.default",),
        doc="stacks along a new dim",
        dims=_stack,
        zero=_stack_zeros,
        copies=True,
        samples=("op([t(B, 4), t(B, 4), t(B, 4)], 1)", "op([t(3, 4), t(3, 4)], -1)", "op([t(), t()])", "op([t(B, 4)])"),
    ),
)
