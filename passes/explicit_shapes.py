"""Write dimensions and sizes into shape operators that leave them to be guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from scfx.passes.base import Pass
from scfx.passes.building import add_sizes, arguments, emit, operators, replace, size_nodes, value
from scfx.passes.write_back import same_shape

_aten = torch.ops.aten


@dataclass(frozen=True)
class ExplicitShapes(Pass):
    """Give shape operators explicit arguments, taken from the recorded shapes.

    - `squeeze` names the dimensions whose size is 1 and no others: one that is larger now may shrink to 1 later.
    - `T`, `mT`, `t`, `adjoint`, `swapaxes`, `movedim` become `permute` or `transpose`; `narrow` becomes `slice`.
    - A `slice` that takes everything, as `x[:, 0]` makes one for the first dimension, goes.
    - `view_as`, `reshape_as`, `expand_as`, `type_as` take sizes and dtype as arguments, not the other tensor.

    `flatten`, `unflatten`, `unbind`, `stack` and `repeat_interleave` are explicit already and stay.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Replace what needs it and return how many nodes that were."""
        changes = 0
        for node in operators(graph):
            rule = _RULES.get(node.target)
            if rule is None:
                continue
            with graph.inserting_before(node):
                result = rule(node, arguments(node))
            if result is not None:
                replace(node, result)
                changes += 1
        return changes


_Rule = Callable[[fx.Node, dict[str, Any]], fx.Node | None]


def _squeeze(node: fx.Node, bound: dict[str, Any]) -> fx.Node | None:
    source = bound["self"]
    shape = value(source).shape
    given = bound.get("dim", range(len(shape)))
    given = [given] if isinstance(given, int) else list(given)
    dims = [dim for dim in given if shape and isinstance(shape[dim], int) and shape[dim] == 1]
    if node.target is not _aten.squeeze.default and dims == given:
        return None
    return emit(node, _aten.squeeze.dims, source, dims) if dims else source


def _permuted(node: fx.Node, source: fx.Node, dims: Sequence[int]) -> fx.Node:
    return emit(node, _aten.permute.default, source, list(dims))


def _reverse(node: fx.Node, bound: dict[str, Any]) -> fx.Node:
    return _permuted(node, bound["self"], range(value(bound["self"]).ndim)[::-1])


def _matrix_transpose(node: fx.Node, bound: dict[str, Any]) -> fx.Node | None:
    source = bound["self"]
    fake = value(source)
    if fake.is_complex() and node.target in (_aten.adjoint.default, _aten.mH.default, _aten.matrix_H.default):
        return None
    return source if fake.ndim < 2 else emit(node, _aten.transpose.int, source, -2, -1)


def _swap(node: fx.Node, bound: dict[str, Any]) -> fx.Node:
    dims = [bound[name] for name in bound if name != "self"]
    return emit(node, _aten.transpose.int, bound["self"], *dims)


def _move(node: fx.Node, bound: dict[str, Any]) -> fx.Node:
    rank = value(bound["self"]).ndim
    source, destination = (
        [dim % rank for dim in ([given] if isinstance(given, int) else given)]
        for given in (bound["source"], bound["destination"])
    )
    rest = iter(dim for dim in range(rank) if dim not in source)
    moved = dict(zip(destination, source, strict=True))
    return _permuted(node, bound["self"], [moved[dim] if dim in moved else next(rest) for dim in range(rank)])


def _narrow(node: fx.Node, bound: dict[str, Any]) -> fx.Node | None:
    source: fx.Node = bound["self"]
    dim, start, length = (bound[name] for name in ("dim", "start", "length"))
    if same_shape(value(node), value(source)):
        return source
    if isinstance(start, int) and start < 0:
        size = value(source).shape[dim]
        if not isinstance(size, int):
            return None
        start += size
    return emit(node, _aten.slice.Tensor, source, dim, start, add_sizes(node, start, length))


def _slice(node: fx.Node, bound: dict[str, Any]) -> fx.Node | None:
    return bound["self"] if same_shape(value(node), value(bound["self"])) else None


def _sized(target: Callable[..., Any]) -> _Rule:
    def rule(node: fx.Node, bound: dict[str, Any]) -> fx.Node:
        return emit(node, target, bound["self"], size_nodes(node, bound["other"]))

    return rule


def _cast(node: fx.Node, bound: dict[str, Any]) -> fx.Node | None:
    source, other = bound["self"], bound["other"]
    if value(source).device != value(other).device:
        return None
    options = [bound[name] for name in ("non_blocking", "copy", "memory_format") if name in bound]
    return emit(node, _aten.to.dtype, source, value(other).dtype, *_without_defaults(options))


def _without_defaults(options: list[Any]) -> list[Any]:
    while options and not options[-1]:
        options = options[:-1]
    return options


def _broadcast(node: fx.Node, bound: dict[str, Any]) -> fx.Node:
    return emit(node, _aten.expand.default, bound["self"], bound["size"])


_RULES: dict[object, _Rule] = {
    _aten.squeeze.default: _squeeze,
    _aten.squeeze.dim: _squeeze,
    _aten.squeeze.dims: _squeeze,
    _aten.numpy_T.default: _reverse,
    _aten.t.default: _matrix_transpose,
    _aten.mT.default: _matrix_transpose,
    _aten.mH.default: _matrix_transpose,
    _aten.matrix_H.default: _matrix_transpose,
    _aten.adjoint.default: _matrix_transpose,
    _aten.swapaxes.default: _swap,
    _aten.swapdims.default: _swap,
    _aten.movedim.int: _move,
    _aten.movedim.intlist: _move,
    _aten.moveaxis.int: _move,
    _aten.moveaxis.intlist: _move,
    _aten.narrow.default: _narrow,
    _aten.slice.Tensor: _slice,
    _aten.view_as.default: _sized(_aten.view.default),
    _aten.reshape_as.default: _sized(_aten.reshape.default),
    _aten.expand_as.default: _sized(_aten.expand.default),
    _aten.type_as.default: _cast,
    _aten.to.other: _cast,
    _aten.broadcast_to.default: _broadcast,
}
