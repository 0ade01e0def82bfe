"""Operators that take ranges of a dim: split, unbind, glu, select, slice."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from scfx.signatures.call import Call, Dims
from scfx.signatures.coded import Coded
from scfx.signatures.ordering import left_of, picked
from scfx.signatures.record import Kept, Record, Replacement
from scfx.signatures.resizing import kept_size
from scfx.terms.dims import Concat, Dim
from scfx.terms.facts import LARGE, Zeros, piece, unknown


def _with(dims: Sequence[Dim], at: int, *new: Dim) -> Dims:
    return (*dims[:at], *new, *dims[at + 1 :])


def place_of(call: Call) -> tuple[int, Dim]:
    """The dimension that the call works along, and its dim."""
    at = call.dim("dim", call.rank("self"))
    return at, call.operands["self"][at]


def _pieces(call: Call, dim: Dim, sizes: Sequence[int]) -> list[Dim]:
    """A dim taken apart into consecutive pieces."""
    pieces = [call.fresh(size) for size in sizes]
    call.unify(dim, Concat(tuple(pieces)))
    return pieces


# --------------------------------------------------------------- split, unbind, glu


def _split(call: Call) -> tuple[Dims, ...]:
    at, dim = place_of(call)
    pieces = _pieces(call, dim, [shape[at] for shape in call.result_shapes])
    return tuple(_with(call.operands["self"], at, made) for made in pieces)


def _split_evenly(call: Call) -> tuple[Dims, ...]:
    """The parts' sizes aren't written down: they would change if the dim shrank."""
    call.pin(place_of(call)[1], "it is split into parts of a given size or number")
    return _split(call)


def _split_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand, (at, _) = facts["self"], place_of(call)
    made: list[Zeros] = []
    start = 0
    for shape in call.result_shapes:
        made.append(operand.replaced(at, piece(operand.fact(at), start, start + shape[at])))
        start += shape[at]
    return tuple(made)


def _split_sizes(call: Call, kept: Kept) -> Mapping[str, Any]:
    at, dim = place_of(call)
    if kept_size(dim, kept) == dim.size:
        return {}
    return {"split_sizes": [kept_size(dims[at], kept) for dims in call.results]}


def _unbind(call: Call) -> tuple[Dims, ...]:
    at, dim = place_of(call)
    _pieces(call, dim, [1] * dim.size)
    return tuple(_with(call.operands["self"], at) for _ in call.result_shapes)


def _unbind_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand, (at, dim) = facts["self"], place_of(call)
    rest = (*operand.dims[:at], *operand.dims[at + 1 :])
    return tuple(Zeros.of(rest, piece(operand.fact(at), n, n + 1).covers) for n in range(dim.size))


def _glu(call: Call) -> tuple[Dims, ...]:
    """The first half times the sigmoid of the second: the halves line up."""
    at, dim = place_of(call)
    first, second = _pieces(call, dim, [dim.size // 2] * 2)
    call.unify(first, second)
    return (_with(call.operands["self"], at, first),)


def _glu_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand, (at, dim) = facts["self"], place_of(call)
    return (operand.replaced(at, piece(operand.fact(at), 0, dim.size // 2)),)


# --------------------------------------------------------------- select, slice


def index_of(call: Call) -> int | None:
    """The selected index as a non-negative number; None where it depends on a symbolic size."""
    size, index = place_of(call)[1].size, call.integer(call.arguments["index"])
    return None if size > LARGE or abs(index) > LARGE else index % size


def select(call: Call) -> tuple[Dims, ...]:
    """The dims without the selected one."""
    at, dim = place_of(call)
    index = index_of(call)
    if index is None:
        call.pin(dim, "one index is selected along it")
    else:
        _pieces(call, dim, [index, 1, dim.size - index - 1])
    return (_with(call.operands["self"], at),)


def _select_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand, (at, _), index = facts["self"], place_of(call), index_of(call)
    rest = (*operand.dims[:at], *operand.dims[at + 1 :])
    gone = index is not None and piece(operand.fact(at), index, index + 1).covers
    return (Zeros.of(rest, operand.whole or gone),)


def select_index(call: Call, kept: Kept) -> Mapping[str, Any]:
    """Where the selected index is among those that stay."""
    _, dim = place_of(call)
    index = index_of(call)
    return {} if index is None or kept_size(dim, kept) == dim.size else {"index": int(kept(dim)[:index].sum())}


def bounds_of(call: Call) -> tuple[int, int, int] | None:
    """Start, end and step of a slice as non-negative numbers; None where they depend on a symbolic size."""
    size = place_of(call)[1].size
    start, end = (call.arguments[name] for name in ("start", "end"))
    values = [0 if start is None else call.integer(start), sys.maxsize if end is None else call.integer(end)]
    if size > LARGE or any(LARGE < abs(value) != sys.maxsize for value in values):
        return None
    start, end = (min(max(value + size if value < 0 else value, 0), size) for value in values)
    return start, max(start, end), int(call.arguments["step"])


def part_of(call: Call, size: int) -> Dim:
    """What lies in a slice; where it depends on a symbolic size, it and what it is taken from are pinned."""
    dim, bounds = place_of(call)[1], bounds_of(call)
    if bounds is None:
        call.pin(dim, "a symbolic slice is taken along it")
        return call.fresh(size, "a symbolic slice was taken along it")
    start, end, step = bounds
    if step != 1:
        return picked(call, dim, range(*bounds))
    return _pieces(call, dim, [start, end - start, dim.size - end])[1]


def takes_all(call: Call, part: int) -> bool:
    """Whether a slice of so many indices is the whole dim, whatever its size is."""
    return part == place_of(call)[1].size


def _slice(call: Call) -> tuple[Dims, ...]:
    at = place_of(call)[0]
    size = call.result_shapes[0][at]
    if takes_all(call, size):
        return (call.operands["self"],)
    return (_with(call.operands["self"], at, part_of(call, size)),)


def _slice_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand, (at, _), bounds = facts["self"], place_of(call), bounds_of(call)
    size = call.result_shapes[0][at]
    if takes_all(call, size):
        return (operand,)
    return (operand.replaced(at, piece(operand.fact(at), *bounds) if bounds else unknown(size)),)


def slice_bounds(call: Call, kept: Kept) -> Mapping[str, Any] | Replacement:
    """Where the range begins and ends among the indices that stay; of a strided one each index is written down."""
    at, dim = place_of(call)
    bounds = bounds_of(call)
    part = call.shape("src")[at] if "src" in call.operands else call.result_shapes[0][at]
    if takes_all(call, part) or bounds is None or kept_size(dim, kept) == dim.size:
        return {}
    if bounds[2] != 1:
        index = {"dim": at, "index": left_of(dim, range(*bounds), kept)}
        return Replacement(index, "scfx.put.default" if "src" in call.operands else "scfx.take.default")
    mask = kept(dim)
    return {"start": int(mask[: bounds[0]].sum()), "end": int(mask[: bounds[1]].sum())}


RECORDS: tuple[Record, ...] = (
    Coded(
        targets=("aten.split_with_sizes.default",),
        doc="takes a dim apart",
        dims=_split,
        zero=_split_zeros,
        arguments=_split_sizes,
        samples=(
            "op(t(B, 9, 2), [4, 3, 2], 1)",
            "op(t(6), [6])",
            "op(t(B, 4), [1, 3], -1)",
            "op(t(B * 2, 4), [B, B], 0)",
        ),
    ),
    Coded(
        targets=("aten.split.Tensor", "aten.chunk.default", "aten.tensor_split.sections"),
        doc="takes a dim apart",
        dims=_split_evenly,
        zero=_split_zeros,
        samples=("op(t(3, 6, 2), 2, 1)", "op(t(3, 7), 3, -1)"),
    ),
    Coded(
        targets=("aten.unbind.int",),
        doc="takes a dim apart, index by index",
        dims=_unbind,
        zero=_unbind_zeros,
        samples=("op(t(B, 3, 4), 1)", "op(t(3, 4))", "op(t(B, 4, 2), -1)"),
    ),
    Coded(
        targets=("aten.glu.default",),
        doc="gated linear unit: the halves of a dim line up",
        dims=_glu,
        zero=_glu_zeros,
        samples=("op(t(B, 8, 3), 1)", "op(t(B, 6))", "op(t(2, 2))"),
    ),
    Coded(
        targets=("aten.select.int",),
        doc="selects an index",
        dims=select,
        zero=_select_zeros,
        arguments=select_index,
        samples=(
            "op(t(B, 5, 3), 1, 2)",
            "op(t(B, 5, 3), 1, 0)",
            "op(t(B, 5), -1, -1)",
            "op(t(4), 0, 1)",
            "op(t(B, 1, 3), 1, 0)",
        ),
    ),
    Coded(
        targets=("aten.slice.Tensor",),
        doc="takes a range of a dim",
        dims=_slice,
        zero=_slice_zeros,
        arguments=slice_bounds,
        samples=(
            "op(t(B, 8, 3), 1, 2, 6)",
            "op(t(B, 8), 1, 3)",
            "op(t(B, 8), -1, -3)",
            "op(t(B, 8), 1, 0, 9223372036854775807)",
            "op(t(B, 8), 1, 1, 9223372036854775807)",
            "op(t(B, 8), 1, None, -2)",
            "op(t(B, 8, 2), 1, 0, 8, 2)",
            "op(t(B, 7), 1, -6, 9223372036854775807, 3)",
            "op(t(B, 8), 1, 3, 3)",
            "op(t(8, 2))",
            "op(t(B, 8), 1, -20, 4)",
        ),
    ),
)
