"""Padding: with a constant, of channels too; by copies, along dims that are rigid then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scfx.signatures.call import Call, Dims
from scfx.signatures.coded import Coded
from scfx.signatures.record import Kept, Record
from scfx.signatures.resizing import kept_size
from scfx.terms.dims import Dim, concat
from scfx.terms.facts import LARGE, Fact, Zeros, chained, everything, unknown


def _amounts(call: Call) -> list[tuple[int, int]]:
    """Elements added before and after, for each dim, outermost first; negative where elements go."""
    flat = call.integers("pad")
    pairs = [(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)][::-1]
    return [(0, 0)] * (call.rank("self") - len(pairs)) + pairs


def _is_constant(call: Call) -> bool:
    return str(call.arguments.get("mode", "constant")) == "constant"


def _keeps_zeros(call: Call) -> bool:
    """Whether what is added is zero where its neighbours are."""
    return not _is_constant(call) or not call.arguments.get("value")


def _pad(call: Call) -> tuple[Dims, ...]:
    result: list[Dim] = []
    for dim, (before, after), size in zip(call.operands["self"], _amounts(call), call.result_shapes[0], strict=True):
        if (before, after) == (0, 0):
            result.append(dim)
        elif not _is_constant(call) or min(before, after) < 0 or size > LARGE:
            call.pin(dim, "padding by copies or cropping")
            result.append(call.fresh(size, "padding by copies or cropping"))
        else:
            result.append(concat(call.fresh(before), dim, call.fresh(after)))
    return (tuple(result),)


def _pad_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand, shape = facts["self"], call.result_shapes[0]
    if not _keeps_zeros(call) and any(pair != (0, 0) for pair in _amounts(call)):
        return (Zeros.unknown(shape),)
    made: list[Fact] = []
    for index, ((before, after), size) in enumerate(zip(_amounts(call), shape, strict=True)):
        if (before, after) == (0, 0):
            made.append(operand.dims[index])
        elif not _is_constant(call) or min(before, after) < 0:
            made.append(unknown(size))
        else:
            made.append(chained([everything(before), operand.fact(index), everything(after)]))
    return (Zeros.of(made, operand.whole),)


def _pad_amounts(call: Call, kept: Kept) -> Mapping[str, Any]:
    pairs: list[int] = []
    for dim, (before, after), result in zip(call.operands["self"], _amounts(call), call.results[0], strict=True):
        if max(before, after) > 0 and kept_size(result, kept) != result.size:
            mask = kept(result)
            before, after = int(mask[:before].sum()), int(mask[before + dim.size :].sum())
        pairs[:0] = (before, after)
    pairs = pairs[: len(call.arguments["pad"])]
    return {} if pairs == call.integers("pad") else {"pad": pairs}


RECORDS: tuple[Record, ...] = (
    Coded(
        targets=("aten.pad.default", "aten.constant_pad_nd.default"),
        doc="padding, of channels too",
        dims=_pad,
        zero=_pad_zeros,
        arguments=_pad_amounts,
        samples=(
            "op(t(B, 3, 4, 4), [1, 1, 2, 0])",
            "op(t(B, 3, 4, 4), [0, 0, 0, 0, 2, 3])",
            "op(t(B, 3, 4), [0, 0, 1, 0])",
            "op(t(B, 3, 4), [-1, 2])",
            "pad.default(t(B, 3, 4), [1, 1], 'constant', 2.0)",
            "constant_pad_nd.default(t(B, 3, 4), [0, 0, 2, 2], 1.5)",
            "pad.default(t(B, 3, 4), [1, 1], 'reflect')",
            "pad.default(t(B, 3, 4, 5), [1, 2, 2, 1], 'replicate')",
            "pad.default(t(B, 3, 4, 5), [1, 2, 0, 0], 'circular')",
            "pad.default(t(4, 5), [0, 0], 'constant', 1.0)",
            "op(t(2, 1, 3), [0, 0, 0, 1])",
        ),
    ),
)
