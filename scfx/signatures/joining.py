"""Operators that put channels one after the other or take them apart: cat, stack, split, slice, select, pad."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scfx.dims import ONE, Concat, Dim, concat
from scfx.facts import Fact, Mask, Zeros, known, unknown
from scfx.program import is_symbolic
from scfx.signatures.call import Call, Dims
from scfx.signatures.coded import Coded
from scfx.signatures.record import Kept, Record
from scfx.signatures.resizing import kept_size


def _with(dims: Sequence[Dim], at: int, *new: Dim) -> Dims:
    return (*dims[:at], *new, *dims[at:][1:])


def _mask(fact: Fact, whole: bool) -> Mask:
    """A fact as a mask over a dimension that is no symbolic one."""
    mask = fact.flat()
    return np.ones(fact.size, bool) if whole else np.zeros(fact.size, bool) if mask is None else mask


def _pieces(call: Call, dim: Dim, sizes: Sequence[int]) -> list[Dim]:
    """A dim taken apart into consecutive pieces."""
    pieces = [call.fresh(size) for size in sizes]
    call.unify(dim, Concat(tuple(pieces)))
    return pieces


# --------------------------------------------------------------------- cat, stack


def _listed(call: Call) -> list[str]:
    """The operands of the tensor list, without the legacy empty ones of shape (0,)."""
    rank = len(call.result_shapes[0])
    return [name for name in call.operands if call.rank(name) == rank and (rank > 1 or call.shape(name) != (0,))]


def _cat(call: Call) -> tuple[Dims, ...]:
    names, rank = _listed(call), len(call.result_shapes[0])
    at = call.dim("dim", rank)
    first = call.operands[names[0]]
    for name in names[1:]:
        for index, (a, b) in enumerate(zip(first, call.operands[name], strict=True)):
            if index != at:
                call.unify(a, b)
    return (_with(first, at, concat(*(call.operands[name][at] for name in names))),)


def _cat_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    names, shape = _listed(call), call.result_shapes[0]
    at = call.dim("dim", len(shape))
    made: list[Fact] = []
    for index, size in enumerate(shape):
        if is_symbolic(size):
            made.append(unknown(size))
        elif index == at:
            made.append(known(np.concatenate([_mask(facts[n].dims[at], facts[n].whole) for n in names])))
        else:
            made.append(known(np.logical_and.reduce([_mask(facts[n].dims[index], facts[n].whole) for n in names])))
    return (Zeros.of(made, all(facts[name].whole for name in names)),)


def _stack(call: Call) -> tuple[Dims, ...]:
    names, rank = list(call.operands), len(call.result_shapes[0])
    first = call.operands[names[0]]
    for name in names[1:]:
        for a, b in zip(first, call.operands[name], strict=True):
            call.unify(a, b)
    at = call.dim("dim", rank)
    return ((*first[:at], concat(*(ONE for _ in names)), *first[at:]),)


def _stack_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    names, rank = list(call.operands), len(call.result_shapes[0])
    at = call.dim("dim", rank)
    shape = call.result_shapes[0][:at] + call.result_shapes[0][at + 1 :]
    made = [
        unknown(size)
        if is_symbolic(size)
        else known(np.logical_and.reduce([_mask(facts[n].dims[index], facts[n].whole) for n in names]))
        for index, size in enumerate(shape)
    ]
    made.insert(at, known(np.array([facts[name].whole for name in names])))
    return (Zeros.of(made),)


# ----------------------------------------------------------- split, unbind, select


def _split(call: Call) -> tuple[Dims, ...]:
    dims = call.operands["self"]
    at = call.dim("dim", len(dims))
    pieces = _pieces(call, dims[at], [shape[at] for shape in call.result_shapes])
    return tuple(_with(dims, at, piece) for piece in pieces)


def _split_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand = facts["self"]
    at = call.dim("dim", len(operand.dims))
    if is_symbolic(operand.dims[at].size):
        return tuple(operand.replaced(at, unknown(shape[at])) for shape in call.result_shapes)
    ends = np.cumsum([shape[at] for shape in call.result_shapes])[:-1]
    return tuple(operand.replaced(at, known(part)) for part in np.split(_mask(operand.dims[at], operand.whole), ends))


def _split_sizes(call: Call, kept: Kept) -> Mapping[str, Any]:
    at = call.dim("dim", call.rank("self"))
    sizes = [kept_size(dims[at], kept) for dims in call.results]
    if sizes == [dims[at].size for dims in call.results]:
        return {}
    return {"split_sizes": sizes}


def _unbind(call: Call) -> tuple[Dims, ...]:
    dims = call.operands["self"]
    at = call.dim("dim", len(dims))
    _pieces(call, dims[at], [1] * dims[at].size)
    return tuple(_with(dims, at) for _ in call.result_shapes)


def _unbind_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand = facts["self"]
    at = call.dim("dim", len(operand.dims))
    rest = (*operand.dims[:at], *operand.dims[at + 1 :])
    return tuple(Zeros.of(rest, bool(whole)) for whole in _mask(operand.dims[at], operand.whole))


def _select(call: Call) -> tuple[Dims, ...]:
    dims = call.operands["self"]
    at = call.dim("dim", len(dims))
    size = dims[at].size
    index = call.integer(call.arguments["index"])
    if is_symbolic(size) or is_symbolic(abs(index)):
        call.pin(dims[at], "one index is selected along it")
    else:
        index %= size
        _pieces(call, dims[at], [index, 1, size - index - 1])
    return (_with(dims, at),)


def _select_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand = facts["self"]
    at = call.dim("dim", len(operand.dims))
    index = call.integer(call.arguments["index"])
    rest = (*operand.dims[:at], *operand.dims[at + 1 :])
    plain = not is_symbolic(operand.dims[at].size) and not is_symbolic(abs(index))
    return (Zeros.of(rest, operand.whole or (plain and bool(_mask(operand.dims[at], False)[index]))),)


def _select_index(call: Call, kept: Kept) -> Mapping[str, Any]:
    dim = call.operands["self"][call.dim("dim", call.rank("self"))]
    if kept_size(dim, kept) == dim.size:
        return {}
    index = call.integer(call.arguments["index"]) % dim.size
    return {"index": int(kept(dim)[:index].sum())}


# ------------------------------------------------------------------------- slice


def _bounds(call: Call, size: int) -> tuple[int, int, int] | None:
    """Start, end and step of a slice as non-negative numbers; None where they depend on a symbolic size."""
    start, end = call.arguments["start"], call.arguments["end"]
    values = [0 if start is None else call.integer(start), sys.maxsize if end is None else call.integer(end)]
    if is_symbolic(size) or any(is_symbolic(abs(v)) for v in values):
        return None
    start, end = (min(max(v + size if v < 0 else v, 0), size) for v in values)
    return start, max(start, end), int(call.arguments["step"])


def _slice(call: Call) -> tuple[Dims, ...]:
    dims = call.operands["self"]
    at = call.dim("dim", len(dims))
    size, new = dims[at].size, call.result_shapes[0][at]
    if size == new:
        return (tuple(dims),)
    bounds = _bounds(call, size)
    if bounds is None or bounds[2] != 1:
        call.pin(dims[at], "a strided or symbolic slice is taken along it")
        return (_with(dims, at, call.fresh(new, "a strided or symbolic slice was taken along it")),)
    start, end, _ = bounds
    pieces = _pieces(call, dims[at], [start, end - start, size - end])
    return (_with(dims, at, pieces[1]),)


def _slice_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand = facts["self"]
    at = call.dim("dim", len(operand.dims))
    size, new = operand.dims[at].size, call.result_shapes[0][at]
    if size == new:
        return (operand,)
    bounds = _bounds(call, size)
    if bounds is None:
        return (operand.replaced(at, unknown(new)),)
    return (operand.replaced(at, known(_mask(operand.dims[at], operand.whole)[slice(*bounds)])),)


def _slice_bounds(call: Call, kept: Kept) -> Mapping[str, Any]:
    at = call.dim("dim", call.rank("self"))
    dim = call.operands["self"][at]
    bounds = _bounds(call, dim.size)
    whole = dim.size == (call.operands["src"][at].size if "src" in call.operands else call.result_shapes[0][at])
    if whole or bounds is None or kept_size(dim, kept) == dim.size:
        return {}
    mask = kept(dim)
    return {"start": int(mask[: bounds[0]].sum()), "end": int(mask[: bounds[1]].sum())}


def _slice_scatter(call: Call) -> tuple[Dims, ...]:
    """Part of the operand is replaced by another tensor."""
    dims, source = call.operands["self"], call.operands["src"]
    at = call.dim("dim", len(dims))
    for index, (a, b) in enumerate(zip(dims, source, strict=True)):
        if index != at:
            call.unify(a, b)
    size = dims[at].size
    bounds = _bounds(call, size)
    if source[at].size == size:
        call.unify(dims[at], source[at])
    elif bounds is None or bounds[2] != 1:
        for dim in (dims[at], source[at]):
            call.pin(dim, "a strided or symbolic slice of it is replaced")
    else:
        start, end, _ = bounds
        pieces = _pieces(call, dims[at], [start, end - start, size - end])
        call.unify(pieces[1], source[at])
    return (tuple(dims),)


def _slice_scatter_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand, source = facts["self"], facts["src"]
    at = call.dim("dim", len(operand.dims))
    made: list[Fact] = []
    bounds = _bounds(call, operand.dims[at].size)
    for index, (a, b) in enumerate(zip(operand.dims, source.dims, strict=True)):
        if is_symbolic(a.size) or (index == at and bounds is None):
            made.append(unknown(a.size))
            continue
        x, y = _mask(a, operand.whole), _mask(b, source.whole)
        if index == at and bounds is not None:
            x = x.copy()
            x[slice(*bounds)] = y
            made.append(known(x))
        else:
            made.append(known(x & y))
    return (Zeros.of(made, operand.whole and source.whole),)


def _select_scatter(call: Call) -> tuple[Dims, ...]:
    dims = call.operands["self"]
    at = call.dim("dim", len(dims))
    for a, b in zip(_with(dims, at), call.operands["src"], strict=True):
        call.unify(a, b)
    _select(call)
    return (tuple(dims),)


def _select_scatter_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand, source = facts["self"], facts["src"]
    at = call.dim("dim", len(operand.dims))
    rest = list(source.dims)
    rest.insert(at, unknown(1))
    made: list[Fact] = []
    for index, (a, b) in enumerate(zip(operand.dims, rest, strict=True)):
        if is_symbolic(a.size):
            made.append(unknown(a.size))
        elif index == at:
            x = _mask(a, operand.whole).copy()
            x[call.integer(call.arguments["index"])] = source.whole
            made.append(known(x))
        else:
            made.append(known(_mask(a, operand.whole) & _mask(b, source.whole)))
    return (Zeros.of(made, operand.whole and source.whole),)


# --------------------------------------------------------------------------- pad


def _paddings(call: Call) -> list[tuple[int, int]]:
    """Elements added before and after, for each dim, outermost first; negative where elements go."""
    flat = call.integers("pad")
    pairs = [(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)][::-1]
    return [(0, 0)] * (call.rank("self") - len(pairs)) + pairs


def _fill(call: Call) -> float:
    return float(call.arguments.get("value") or 0.0)


def _plain(call: Call) -> bool:
    return str(call.arguments.get("mode", "constant")) == "constant"


def _padding(call: Call, size: int) -> Dim:
    return call.fresh(size) if size else Concat(())


def _pad(call: Call) -> tuple[Dims, ...]:
    result: list[Dim] = []
    for dim, (before, after), size in zip(call.operands["self"], _paddings(call), call.result_shapes[0], strict=True):
        if (before, after) == (0, 0):
            result.append(dim)
        elif not _plain(call) or before < 0 or after < 0 or is_symbolic(size):
            call.pin(dim, "padding that isn't constant")
            result.append(call.fresh(size, "padding that isn't constant"))
        else:
            result.append(concat(_padding(call, before), dim, _padding(call, after)))
    return (tuple(result),)


def _pad_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand = facts["self"]
    made: list[Fact] = []
    empty = _plain(call) and _fill(call) == 0
    for fact, (before, after), size in zip(operand.dims, _paddings(call), call.result_shapes[0], strict=True):
        if (before, after) == (0, 0):
            made.append(fact if empty or all(pair == (0, 0) for pair in _paddings(call)) else unknown(size))
        elif not empty or before < 0 or after < 0 or is_symbolic(size):
            made.append(unknown(size) if not empty or not operand.whole else known(np.ones(size, bool)))
        else:
            inner = _mask(fact, operand.whole)
            made.append(known(np.concatenate([np.ones(before, bool), inner, np.ones(after, bool)])))
    return (Zeros.of(made, operand.whole and empty),)


def _pad_amounts(call: Call, kept: Kept) -> Mapping[str, Any]:
    pairs: list[int] = []
    for dim, (before, after), result in zip(call.operands["self"], _paddings(call), call.results[0], strict=True):
        if before > 0 or after > 0:
            if kept_size(result, kept) != result.size:
                mask = kept(result)
                before, after = int(mask[:before].sum()), int(mask[before + dim.size :].sum())
        pairs[:0] = (before, after)
    pairs = pairs[: len(call.arguments["pad"])]
    return {} if pairs == call.integers("pad") else {"pad": pairs}


RECORDS: tuple[Record, ...] = (
    Coded(targets=("aten.cat.default", "aten.concat.default", "aten.concatenate.default"), doc="concatenation", dims=_cat, zero=_cat_zeros),
    Coded(targets=("aten.stack.default",), doc="stacks along a new dim", dims=_stack, zero=_stack_zeros),
    Coded(targets=("aten.split_with_sizes.default",), doc="takes a dim apart", dims=_split, zero=_split_zeros, arguments=_split_sizes),
    Coded(targets=("aten.unbind.int",), doc="takes a dim apart, index by index", dims=_unbind, zero=_unbind_zeros),
    Coded(targets=("aten.select.int",), doc="selects an index", dims=_select, zero=_select_zeros, arguments=_select_index),
    Coded(targets=("aten.slice.Tensor",), doc="takes a range of a dim", dims=_slice, zero=_slice_zeros, arguments=_slice_bounds),
    Coded(
        targets=("aten.slice_scatter.default",), doc="replaces a range of a dim", dims=_slice_scatter, zero=_slice_scatter_zeros,
        arguments=_slice_bounds,
    ),
    Coded(
        targets=("aten.select_scatter.default",), doc="replaces an index of a dim", dims=_select_scatter, zero=_select_scatter_zeros,
        arguments=_select_index,
    ),
    Coded(
        targets=("aten.pad.default", "aten.constant_pad_nd.default"), doc="padding, of channels too", dims=_pad, zero=_pad_zeros,
        arguments=_pad_amounts,
    ),
)  # fmt: skip
