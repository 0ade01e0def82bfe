"""What a dimension is used for: the ranges that are taken of it, and what carries it on to there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from sympy import Expr, Integer
from torch import fx

from scfx.passes.building import arguments, is_tensor, picked, value
from scfx.passes.effects import is_random
from scfx.passes.write_back import same_shape

_aten = torch.ops.aten

#: Operators that see the same elements through other sizes, and the argument that holds sizes as they come out.
VIEWS: dict[object, str] = {
    _aten.view.default: "size",
    _aten._unsafe_view.default: "size",
    _aten.reshape.default: "shape",
    _aten.unflatten.int: "sizes",
}

#: Operators that take ranges of a dimension.
_TAKERS = (_aten.select.int, _aten.slice.Tensor, _aten.unbind.int, _aten.split_with_sizes.default)

#: Operators whose result has the dimensions of their operand, and that treat each index of a dimension alike.
_SAME_DIMS = (
    _aten.contiguous.default,
    _aten.clone.default,
    _aten.detach.default,
    _aten.alias.default,
    _aten.slice.Tensor,  # along another dimension
)


@dataclass(frozen=True)
class Part:
    """A use of one range of a dimension: `node` is indices `start` to `stop` of dimension `dim` of `source`."""

    node: fx.Node
    source: fx.Node
    dim: int
    start: int
    stop: int


@dataclass
class Uses:
    """All that is done with a dimension: the nodes that carry it on, outermost first, and the ranges that are taken."""

    carriers: dict[fx.Node, int]
    parts: list[Part]
    takers: list[fx.Node]


def collect(node: fx.Node, dim: int, uses: Uses) -> bool:
    """Find all that is done with dimension `dim` of `node` and say whether it is nothing but taking ranges."""
    uses.carriers[node] = dim
    for user in node.users:
        if not isinstance(user.target, torch._ops.OpOverload):
            return False
        parts = _parts_of(user, node, dim)
        if parts is not None:
            uses.parts.extend(parts)
            uses.takers.append(user)
            continue
        carried = _carried(user, node, dim)
        if carried is None or not collect(user, carried, uses):
            return False
    return bool(node.users)


def _parts_of(user: fx.Node, source: fx.Node, dim: int) -> list[Part] | None:
    """Return the ranges of a dimension that `user` takes, or None if it does something else."""
    shape = value(source).shape
    bound = arguments(user)
    if user.target not in _TAKERS or bound["dim"] % len(shape) != dim:
        return None
    size = int(shape[dim])
    if user.target is _aten.select.int and isinstance(bound["index"], int):
        return [Part(user, source, dim, bound["index"] % size, bound["index"] % size + 1)]
    if user.target is _aten.slice.Tensor and isinstance(value(user).shape[dim], int) and bound["step"] == 1:
        start, stop = (bound[name] for name in ("start", "end"))
        if all(isinstance(each, int | None) for each in (start, stop)):
            start, stop, _ = slice(start, stop).indices(size)
            return [Part(user, source, dim, start, stop)] if start < stop else None
    if user.target is _aten.unbind.int:
        return [Part(item, source, dim, picked(item), picked(item) + 1) for item in user.users]
    if user.target is _aten.split_with_sizes.default and 0 not in bound["split_sizes"]:
        starts = [sum(bound["split_sizes"][:index]) for index in range(len(bound["split_sizes"]) + 1)]
        return [Part(item, source, dim, starts[picked(item)], starts[picked(item) + 1]) for item in user.users]
    return None


def _carried(user: fx.Node, source: fx.Node, dim: int) -> int | None:
    """Return where a dimension of `source` is in what `user` makes, if `user` treats each index of it alike."""
    if not is_tensor(user) or user.all_input_nodes[0] is not source:
        return None
    bound = arguments(user)
    before, after = value(source).shape, value(user).shape
    if user.target in _TAKERS and bound["dim"] % len(before) == dim:
        return None
    if user.target is _aten.permute.default:
        return [int(each) % len(before) for each in bound["dims"]].index(dim)
    if user.target is _aten.transpose.int:
        swapped = [int(bound["dim0"]) % len(before), int(bound["dim1"]) % len(before)]
        return swapped[1 - swapped.index(dim)] if dim in swapped else dim
    if user.target is _aten.select.int:
        return dim - int(bound["dim"] % len(before) < dim)
    if user.target is _aten.unsqueeze.default:
        return dim + int(bound["dim"] % len(after) <= dim)
    if user.target in (_aten.squeeze.dim, _aten.squeeze.dims):
        given = [bound["dim"]] if isinstance(bound["dim"], int) else bound["dim"]
        gone = {each % len(before) for each in given}
        return None if dim in gone else dim - sum(each < dim and before[each] == 1 for each in gone)
    if user.target in VIEWS:
        return _own_dim(before, after, dim)
    return dim if user.target in _SAME_DIMS or _is_elementwise(user, source) else None


def _own_dim(before: Sequence[int | torch.SymInt], after: Sequence[int | torch.SymInt], dim: int) -> int | None:
    """Return the dimension after a view that is just dimension `dim` before it."""
    if 0 in before:
        return None
    start, stop = products(before)[dim : dim + 2]
    found = products(after)
    return next((at for at, ends in enumerate(pairwise(found)) if ends == (start, stop)), None)


def _is_elementwise(user: fx.Node, source: fx.Node) -> bool:
    assert isinstance(user.target, torch._ops.OpOverload)
    tags = user.target.tags
    alone = user.all_input_nodes == [source] and same_shape(value(user), value(source))
    return torch.Tag.pointwise in tags and alone and not is_random(user)


def products(sizes: Sequence[int | torch.SymInt]) -> list[Expr]:
    """Return the product of the sizes before each dimension, and that of all of them."""
    result = [Integer(1)]
    for size in sizes:
        result.append(result[-1] * (size if isinstance(size, int) else size.node.expr))
    return result
