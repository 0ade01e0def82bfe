"""Operators that make new tensors, and those that look rows up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scfx.facts import Fact, Zeros
from scfx.program import is_symbolic
from scfx.signatures.call import Call, Dims
from scfx.signatures.coded import Coded
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Kept, Record
from scfx.signatures.resizing import resized_list


def _made(call: Call) -> tuple[Dims, ...]:
    return (tuple(call.fresh(size) for size in call.result_shapes[0]),)


def _all_zero(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    shape = call.result_shapes[0]
    zero = call.arguments.get("fill_value", 0) == 0
    dims = (Fact((n,), (np.ones(n, bool) if zero and not is_symbolic(n) else None,)) for n in shape)
    return (Zeros.of(dims, zero),)


def _sizes(call: Call, kept: Kept) -> Mapping[str, Any]:
    if "size" not in call.arguments:
        return {}
    return resized_list(call, "size", list(call.results[0]), kept)


RECORDS: tuple[Record, ...] = (
    Coded(
        targets=("aten.zeros.default", "aten.new_zeros.default", "aten.full.default", "aten.new_full.default"),
        doc="a new constant tensor",
        dims=_made,
        zero=_all_zero,
        arguments=_sizes,
    ),
    Coded(
        targets=("aten.ones.default", "aten.new_ones.default", "aten.rand.default", "aten.randn.default", "aten.empty.memory_format",
                 "aten.new_empty.default", "aten.scalar_tensor.default"),
        doc="a new tensor",
        dims=_made,
        arguments=_sizes,
    ),
    Pattern(
        targets=("aten.embedding.default",),
        signature="v c, *i -> *i c",
        operands=("weight", "indices"),
        pointwise="*i c",
        reasons={"v": "rows are looked up by number"},
        zero="weight",
        weight="weight",
        doc="looks rows up",
    ),
)  # fmt: skip
