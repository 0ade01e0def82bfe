"""Element-wise operators, broadcasting included: every index on its own, zero where a probe says so.

ATen tags its element-wise operators itself; those need no line here. Listed are the composite ones, which it doesn't tag.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import fx

from scfx.dims import ONE, Dim, resolve
from scfx.facts import Fact, Zeros, both, either, unknown
from scfx.signatures.call import Call, Dims
from scfx.signatures.record import Operator

_DRAWS = 24

#: For each choice of operands that are zero (one bit each), whether the result is.
Table = tuple[bool, ...]


@dataclass(frozen=True, kw_only=True)
class Elementwise(Operator):
    """An operator that treats every element on its own, operands broadcast against each other.

    Attributes:
        zero: How zeros spread: "probe" runs the operator with operands at zero, "self" and "never" say it outright
            (for operators that draw random numbers, which a probe must not do).
    """

    zero: str = "probe"

    def infer(self, call: Call) -> tuple[Dims, ...]:
        rank = len(call.result_shapes[0])
        result: list[Dim] = [ONE] * rank
        for dims in call.operands.values():
            for offset, dim in enumerate(reversed(dims), 1):
                if dim.size == 1:
                    continue
                if resolve(result[rank - offset]) == ONE:
                    result[rank - offset] = dim
                else:
                    call.unify(result[rank - offset], dim)
        return (tuple(result),) * len(call.result_shapes)

    def zeros(self, call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        names = list(call.operands)
        table = self._table(call, names)
        shape = call.result_shapes[0]
        wholes = [facts[name].whole for name in names]
        aligned = {name: _broadcast(facts[name], len(shape)) for name in names}
        made = [self._along(i, size, names, wholes, aligned, table) for i, size in enumerate(shape)]
        zeros = Zeros.of(made, _lookup(table, wholes))
        return (zeros,) * len(call.result_shapes)

    def factors(self, call: Call) -> Collection[str]:
        names = list(call.operands)
        table = self._table(call, names)
        return [name for position, name in enumerate(names) if table[1 << position]] if len(names) > 1 else ()

    def _along(
        self, index: int, size: int, names: list[str], wholes: list[bool], aligned: Mapping[str, list[Fact | None]], table: Table
    ) -> Fact:
        """Zeros along one dimension of the result: for each choice of operands that suffices, where all of them are zero."""
        best: Fact | None = None
        for choice in itertools.product((False, True), repeat=len(names)):
            if not _lookup(table, list(choice)):
                continue
            facts = [aligned[n][index] for n, chosen, whole in zip(names, choice, wholes, strict=True) if chosen and not whole]
            if not facts or any(fact is None for fact in facts):
                continue
            found = _all_of([fact for fact in facts if fact is not None])
            best = found if best is None else either(best, found)
        return best or unknown(size)

    def _table(self, call: Call, names: list[str]) -> Table:
        count = len(names)
        if self.zero == "never":
            return (False,) * 2**count
        if self.zero != "probe":
            position = names.index(self.zero)
            return tuple(bool(bits >> position & 1) for bits in range(2**count))
        dtypes = tuple(_dtype(call.arguments, name) for name in names)
        scalars = tuple((k, _frozen(v)) for k, v in call.arguments.items() if k not in names and not _tensor_list(v))
        return _probe(call.node.target, tuple(names), dtypes, scalars)


def _all_of(facts: list[Fact]) -> Fact:
    result = facts[0]
    for fact in facts[1:]:
        result = both(result, fact)
    return result


def _broadcast(zeros: Zeros, rank: int) -> list[Fact | None]:
    """An operand's facts aligned with the result's dims; None where it is broadcast along one."""
    facts: list[Fact | None] = [fact if fact.size != 1 else None for fact in zeros.dims]
    return [None] * (rank - len(facts)) + facts


def _lookup(table: Table, zero: list[bool]) -> bool:
    return table[sum(1 << position for position, flag in enumerate(zero) if flag)]


def _dtype(arguments: Mapping[str, Any], name: str) -> torch.dtype:
    value = arguments[name.partition("[")[0]]
    node = value[int(name.partition("[")[2][:-1])] if name.endswith("]") else value
    dtype = node.meta.get("dtype")
    return dtype if isinstance(dtype, torch.dtype) else torch.float64


def _frozen(value: Any) -> Any:
    if isinstance(value, fx.Node):
        return 3 if "value" in value.meta else None
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _tensor_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(v, fx.Node) and "value" not in v.meta for v in value)


@cache
def _probe(target: Any, names: tuple[str, ...], dtypes: tuple[torch.dtype, ...], scalars: tuple[tuple[str, Any], ...]) -> Table:
    """Runs the operator with every choice of operands at zero and the others random. What fails to run is never zero."""
    generator = np.random.default_rng(0)
    table: list[bool] = []
    for bits in range(2 ** len(names)):
        arguments: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in scalars}
        for position, (name, dtype) in enumerate(zip(names, dtypes, strict=True)):
            draw = np.zeros(_DRAWS) if bits >> position & 1 else generator.normal(size=_DRAWS) * 3
            value = torch.from_numpy(draw > 0 if dtype == torch.bool else draw)
            value = value.to(torch.float64 if dtype.is_floating_point else dtype)
            if name.endswith("]"):
                arguments.setdefault(name.partition("[")[0], []).append(value)
            else:
                arguments[name] = value
        table.append(_all_zero(target, arguments))
    # An operand known to be zero is one more thing known: what follows from less still follows.
    return tuple(any(table[less] for less in range(bits + 1) if less & bits == less) for bits in range(len(table)))


def _all_zero(target: Any, arguments: dict[str, Any]) -> bool:
    positional = [arguments[a.name] for a in target._schema.arguments if not a.kwarg_only]
    keywords = {a.name: arguments[a.name] for a in target._schema.arguments if a.kwarg_only and arguments.get(a.name) is not None}
    try:
        with torch.random.fork_rng(devices=[]):
            result = target(*positional, **keywords)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return False
    results = result if isinstance(result, (tuple, list)) else [result]
    return all(bool((r == 0).all()) for r in results)


def _untagged(*names: str, zero: str = "probe", doc: str = "element-wise") -> Elementwise:
    return Elementwise(targets=tuple(f"aten.{name}" for name in names), zero=zero, doc=doc)


#: The record of every operator that ATen itself tags as element-wise.
POINTWISE = Elementwise(targets=("aten.*",), doc="element-wise, by ATen's own tag")

RECORDS: tuple[Operator, ...] = (
    _untagged(
        "subtract.Tensor", "multiply.Tensor", "divide.Tensor", "floor_divide.default", "floor_divide.Scalar", "float_power.Tensor_Tensor",
        "float_power.Tensor_Scalar", "hardswish.default", "log_sigmoid.default", "selu.default", "relu6.default", "greater.Tensor",
        "less.Tensor", "not_equal.Tensor", "arctan.default", "fix.default", "absolute.default", "negative.default", "clip.default",
        "where.ScalarOther", "where.ScalarSelf", "where.Scalar", "true_divide.Tensor", "special_expit.default", "special_erf.default",
        "square.default", "isclose.default", "fill.Scalar", "masked_fill.Tensor", "masked_fill.Scalar",
    ),
    _untagged(
        "clone.default", "contiguous.default", "detach.default", "detach_.default", "alias.default", "lift_fresh_copy.default",
        "lift_fresh.default", "_to_copy.default", "to.dtype", "to.dtype_layout", "to.device", "to.other", "type_as.default",
        "positive.default", "resolve_conj.default", "resolve_neg.default", "_conj.default",
        zero="self", doc="copies and casts",
    ),
    _untagged(
        "dropout.default", "feature_dropout.default", zero="input", doc="dropout"
    ),
    _untagged("alpha_dropout.default", "feature_alpha_dropout.default", zero="never", doc="dropout that keeps the variance"),
    _untagged("rrelu.default", "rrelu_with_noise_functional.default", zero="self", doc="randomised leaky ReLU"),
    _untagged(
        "zeros_like.default", "ones_like.default", "full_like.default", "rand_like.default", "randn_like.default", "bernoulli.default",
        "bernoulli.p", "empty_like.default",
        zero="never", doc="new values of the operand's shape",
    ),
)  # fmt: skip
