"""The inverse of a view: what a tensor becomes when one of its views has been written to."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from scfx.passes.building import arguments, emit, size_nodes, value

_aten = torch.ops.aten

#: Takes the view node, the value of its source before the write, the value of the view after it, and the writing node.
_Rule = Callable[[fx.Node, fx.Node, fx.Node, fx.Node], fx.Node | None]


def write_back(view: fx.Node, source: fx.Node, new: fx.Node, like: fx.Node) -> fx.Node | None:
    """Return the value of a tensor that was `source` after its view `view` has become `new`.

    Nodes go to the graph's insertion point. Returns None for a view that has no functional inverse.
    """
    if view.target is operator.getitem:
        return _item(view, source, new, like)
    if rule := _RULES.get(view.target):
        return rule(view, source, new, like)
    return new if _same_layout(value(view), value(source)) else None


def same_shape(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Say whether two fake tensors have the same sizes for every size of their symbols, without adding a guard."""
    return _same_numbers(left.shape, right.shape)


def _same_numbers(left: Sequence[Any], right: Sequence[Any]) -> bool:
    return [str(size) for size in left] == [str(size) for size in right]


def _same_layout(left: torch.Tensor, right: torch.Tensor) -> bool:
    return (
        same_shape(left, right)
        and _same_numbers(left.stride(), right.stride())
        and str(left.storage_offset()) == str(right.storage_offset())
        and left.dtype == right.dtype
        and left.is_conj() == right.is_conj()
        and left.is_neg() == right.is_neg()
    )


def _scatter(like: fx.Node, target: Any, source: fx.Node, new: fx.Node, *place: Any) -> fx.Node:
    """Emit an operator that puts `new` into a copy of `source`.

    Autograd does not support these on complex numbers, so that such are taken as pairs, in a further dimension at the
    end: the dims of `place` count from the front.
    """
    if not value(source).is_complex():
        return emit(like, target, source, new, *place)
    plain = [emit(like, _aten.resolve_conj.default, each) if value(each).is_conj() else each for each in (source, new)]
    pairs = [emit(like, _aten.view_as_real.default, each) for each in plain]
    return emit(like, _aten.view_as_complex.default, emit(like, target, *pairs, *place))


def _front(dim: int, tensor: fx.Node) -> int:
    rank: int = value(tensor).dim()
    return dim % rank


def _item(view: fx.Node, source: fx.Node, new: fx.Node, like: fx.Node) -> fx.Node | None:
    views, index = view.args
    assert isinstance(views, fx.Node)
    assert isinstance(index, int)
    if views.target not in (_aten.split_with_sizes.default, _aten.unbind.int):
        return None
    bound = arguments(views)
    if views.target is _aten.unbind.int:
        return _scatter(like, _aten.select_scatter.default, source, new, _front(bound["dim"], source), index)
    sizes = bound["split_sizes"]
    start = sum(sizes[:index])
    dim = _front(bound["dim"], source)
    return _scatter(like, _aten.slice_scatter.default, source, new, dim, start, start + sizes[index])


def _slice(view: fx.Node, source: fx.Node, new: fx.Node, like: fx.Node) -> fx.Node:
    if same_shape(value(view), value(source)):
        return new
    bound = arguments(view)
    options = (_front(bound["dim"], source), bound["start"], bound["end"], bound["step"])
    return _scatter(like, _aten.slice_scatter.default, source, new, *options)


def _select(view: fx.Node, source: fx.Node, new: fx.Node, like: fx.Node) -> fx.Node:
    bound = arguments(view)
    return _scatter(like, _aten.select_scatter.default, source, new, _front(bound["dim"], source), bound["index"])


def _diagonal(view: fx.Node, source: fx.Node, new: fx.Node, like: fx.Node) -> fx.Node | None:
    if value(source).is_complex():
        return None  # the dimension of a diagonal is the last one, which pairs take
    bound = arguments(view)
    return emit(like, _aten.diagonal_scatter.default, source, new, bound["offset"], bound["dim1"], bound["dim2"])


def _reshape(view: fx.Node, source: fx.Node, new: fx.Node, like: fx.Node) -> fx.Node:
    if same_shape(value(view), value(source)):
        return new
    sizes: list[Any] = list(value(source).shape)
    symbolic = [dim for dim, size in enumerate(sizes) if not isinstance(size, int)]
    if len(symbolic) == 1 and 0 not in sizes:
        sizes[symbolic[0]] = -1
    else:
        sizes = size_nodes(like, source)
    return emit(like, _aten.reshape.default, new, sizes)


def _permute(view: fx.Node, source: fx.Node, new: fx.Node, like: fx.Node) -> fx.Node:
    dims = [dim % len(arguments(view)["dims"]) for dim in arguments(view)["dims"]]
    return emit(like, _aten.permute.default, new, [dims.index(dim) for dim in range(len(dims))])


def _transpose(view: fx.Node, source: fx.Node, new: fx.Node, like: fx.Node) -> fx.Node:
    bound = arguments(view)
    return emit(like, _aten.transpose.int, new, bound["dim0"], bound["dim1"])


def _expand(view: fx.Node, source: fx.Node, new: fx.Node, like: fx.Node) -> fx.Node | None:
    return new if same_shape(value(view), value(source)) else None


def _same(view: fx.Node, source: fx.Node, new: fx.Node, like: fx.Node) -> fx.Node:
    return new


def _view_dtype(view: fx.Node, source: fx.Node, new: fx.Node, like: fx.Node) -> fx.Node:
    return emit(like, _aten.view.dtype, new, value(source).dtype)


def _inverse(target: Callable[..., Any]) -> _Rule:
    return lambda view, source, new, like: emit(like, target, new)


_RULES: dict[object, _Rule] = {
    _aten.slice.Tensor: _slice,
    _aten.select.int: _select,
    _aten.diagonal.default: _diagonal,
    _aten.view.default: _reshape,
    _aten._unsafe_view.default: _reshape,
    _aten.reshape.default: _reshape,
    _aten.flatten.using_ints: _reshape,
    _aten.unflatten.int: _reshape,
    _aten.ravel.default: _reshape,
    _aten.squeeze.default: _reshape,
    _aten.squeeze.dim: _reshape,
    _aten.squeeze.dims: _reshape,
    _aten.unsqueeze.default: _reshape,
    _aten.permute.default: _permute,
    _aten.transpose.int: _transpose,
    _aten.expand.default: _expand,
    _aten.alias.default: _same,
    _aten.contiguous.default: _same,
    _aten.view.dtype: _view_dtype,
    _aten.view_as_real.default: _inverse(_aten.view_as_complex.default),
    _aten.view_as_complex.default: _inverse(_aten.view_as_real.default),
    _aten._conj.default: _inverse(_aten.conj_physical.default),
    _aten.conj.default: _inverse(_aten.conj_physical.default),
    _aten._neg_view.default: _inverse(_aten.neg.default),
}
