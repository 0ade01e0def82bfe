"""Operators that replace a range of a dim: slice_scatter, select_scatter."""

from __future__ import annotations

from collections.abc import Mapping

from scfx.signatures.call import Call, Dims
from scfx.signatures.coded import Coded
from scfx.signatures.ordering import placed_zeros
from scfx.signatures.record import Record
from scfx.signatures.taking import (
    bounds_of,
    index_of,
    part_of,
    place_of,
    select,
    select_index,
    slice_bounds,
    takes_all,
)
from scfx.terms.facts import Fact, Zeros, both, chained, everything, piece, unknown


def _slice_scatter(call: Call) -> tuple[Dims, ...]:
    """A range of the operand is replaced by another tensor."""
    (at, dim), source = place_of(call), call.operands["src"]
    for index, (a, b) in enumerate(zip(call.operands["self"], source, strict=True)):
        if index != at:
            call.unify(a, b)
    if takes_all(call, source[at].size):
        call.unify(dim, source[at])
    else:
        call.unify(part_of(call, source[at].size), source[at])
    return (call.operands["self"],)


def _slice_scatter_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand, source, (at, dim), bounds = facts["self"], facts["src"], place_of(call), bounds_of(call)
    made = [both(operand.fact(d), source.fact(d)) if d != at else unknown(dim.size) for d in range(len(operand.dims))]
    if takes_all(call, source.dims[at].size):
        return (source,)
    if bounds is not None and bounds[2] != 1:
        return placed_zeros(facts, at, range(*bounds))
    if bounds is not None:
        kept = operand.fact(at)
        made[at] = chained([piece(kept, 0, bounds[0]), source.fact(at), piece(kept, bounds[1], dim.size)])
    return (Zeros.of(made, operand.whole and source.whole),)


def _select_scatter(call: Call) -> tuple[Dims, ...]:
    """One index of the operand is replaced by another tensor."""
    (rest,) = select(call)
    for a, b in zip(rest, call.operands["src"], strict=True):
        call.unify(a, b)
    return (call.operands["self"],)


def _select_scatter_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand, source, (at, dim), index = facts["self"], facts["src"], place_of(call), index_of(call)
    made: list[Fact] = [both(operand.fact(d if d < at else d + 1), source.fact(d)) for d in range(len(source.dims))]
    middle = everything(1) if source.whole else unknown(1)
    kept = operand.fact(at)
    whole = (
        unknown(dim.size)
        if index is None
        else chained([piece(kept, 0, index), middle, piece(kept, index + 1, dim.size)])
    )
    made.insert(at, whole)
    return (Zeros.of(made, operand.whole and source.whole),)


RECORDS: tuple[Record, ...] = (
    Coded(
        targets=("aten.slice_scatter.default",),
        doc="replaces a range of a dim",
        dims=_slice_scatter,
        zero=_slice_scatter_zeros,
        arguments=slice_bounds,
        samples=(
            "op(t(B, 8, 3), t(B, 4, 3), 1, 2, 6)",
            "op(t(B, 8), t(B, 8), 1)",
            "op(t(B, 8), t(B, 4), 1, 0, 8, 2)",
            "op(t(8, 3), t(2, 3), 0, -2)",
        ),
    ),
    Coded(
        targets=("aten.select_scatter.default",),
        doc="replaces an index of a dim",
        dims=_select_scatter,
        zero=_select_scatter_zeros,
        arguments=select_index,
        samples=("op(t(B, 5, 3), t(B, 3), 1, 2)", "op(t(5, 3), t(3), 0, -1)", "op(t(4), t(), 0, 1)"),
    ),
)
