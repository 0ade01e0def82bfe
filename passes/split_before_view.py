"""Take the parts of a dimension apart before a view makes a rectangle of them, so that each can have its own size."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import fx, nn

from scfx.passes.base import Pass
from scfx.passes.building import arguments, emit, operators, value
from scfx.passes.dim_uses import VIEWS, Part, Uses, collect, products
from scfx.passes.write_back import same_shape

_aten = torch.ops.aten


@dataclass(frozen=True)
class SplitBeforeView(Pass):
    """Move the taking apart of a dimension in front of the view that made it.

    Attention often computes queries, keys and values by one layer: `x.view(batch, n, 3, heads, d)`, and later takes
    index 0, 1 and 2 of the third dimension. As a part of one tensor, all three have the same heads and features. Where
    everything that a dimension is used for is to take disjoint ranges of it (`select`, `unbind`, `split_with_sizes`,
    `slice`), a `split_with_sizes` of the viewed dimension comes first and each part has a view of its own:

        view(x, [b, n, 3, h, d]) -> permute(.., [2, 0, 3, 1, 4]) -> unbind

    becomes, with one split and then three times the rest, each with a dimension of size 1 in place of 3,

        split_with_sizes(x, [h * d, h * d, h * d], 2) -> unflatten(.., 2, [1, h, d]) -> permute -> select(.., 0, 0)

    Between the view and the ranges there may be what treats every index of the dimension alike: other views, permuted
    dimensions, copies, and element-wise operators of one tensor.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Move what can be moved and return the number of views that were taken apart."""
        changes = 0
        views = [node for node in operators(graph) if node.target in VIEWS]
        while views:  # the last one first, so that a view that goes with an earlier one has been looked at
            view = views.pop()
            made = next((made for group in _groups(view) if (made := _separated(view, *group))), None)
            if made is not None:
                views.extend(made)  # which may be taken apart along another dimension
                changes += 1
        return changes


# --------------------------------------------------------------- which views


def _groups(view: fx.Node) -> Iterator[tuple[int, int, int]]:
    """Yield (dim, first, last) where a dimension of fixed size becomes the dimensions from first to before last."""
    source, made = value(arguments(view)["self"]).shape, value(view).shape
    if 0 in source:
        return
    before, after = products(source), products(made)
    for dim in range(len(source)):
        if before[dim] not in after or before[dim + 1] not in after:
            continue
        first = len(after) - 1 - after[::-1].index(before[dim])
        last = after.index(before[dim + 1])
        if last - first > 1 and all(isinstance(size, int) for size in (source[dim], *made[first:last])):
            yield dim, first, last


def _separated(view: fx.Node, source_dim: int, first: int, last: int) -> list[fx.Node] | None:
    """Take one of the dimensions that a view has made apart in front of it and return the new views, or None."""
    shape = value(view).shape
    for dim in range(first, last - 1):
        inner = [int(size) for size in shape[dim + 1 : last]]
        uses = Uses({}, [], [])
        if shape[dim] == 1 or prod(inner) == 1 or not collect(view, dim, uses):
            continue
        sizes = _cuts(uses.parts, int(shape[dim]))
        if sizes is not None:
            return _rebuild(view, source_dim, first, last, dim, sizes, uses)
    return None


def _cuts(parts: Sequence[Part], size: int) -> list[int] | None:
    """Return the sizes of the ranges that parts take and of what lies between them; None unless they are disjoint."""
    ranges = sorted({(part.start, part.stop) for part in parts})
    if not ranges or ranges == [(0, size)] or any(after[0] < before[1] for before, after in pairwise(ranges)):
        return None
    bounds = sorted({0, size, *(bound for each in ranges for bound in each)})
    return [stop - start for start, stop in pairwise(bounds)]


# --------------------------------------------------------------- the rewrite


def _rebuild(
    view: fx.Node, source_dim: int, first: int, last: int, dim: int, sizes: Sequence[int], uses: Uses
) -> list[fx.Node]:
    """Split in front of the view, carry each part on by itself, and return the views of the parts."""
    graph, shape = view.graph, value(view).shape
    inner = [int(size) for size in shape[dim + 1 : last]]
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    copies: dict[tuple[fx.Node, int], fx.Node] = {}
    with graph.inserting_before(view):
        whole = _merged(view, source_dim, first, last, dim)
        split = emit(view, _aten.split_with_sizes.default, whole, [size * prod(inner) for size in sizes], dim)
        for number, start in enumerate(starts):
            if any(part.start == start for part in uses.parts):
                piece = emit(view, operator.getitem, split, number)
                copies[view, start] = emit(view, _aten.unflatten.int, piece, dim, [sizes[number], *inner])
    views = list(copies.values())
    for carrier, at in list(uses.carriers.items())[1:]:
        parent = carrier.all_input_nodes[0]
        with graph.inserting_before(carrier):
            for start, size in zip(starts, sizes, strict=True):
                if (parent, start) in copies:
                    copies[carrier, start] = _again(carrier, copies[parent, start], at, size)
    for part in uses.parts:
        copy = copies[part.source, part.start]
        with graph.inserting_before(part.node):
            keeps_dim = value(part.node).ndim == value(part.source).ndim
            part.node.replace_all_uses_with(copy if keeps_dim else emit(part.node, _aten.select.int, copy, part.dim, 0))
    for node in dict.fromkeys([*(part.node for part in uses.parts), *uses.takers, *reversed(uses.carriers)]):
        graph.erase_node(node)
    return views


def _merged(view: fx.Node, source_dim: int, first: int, last: int, dim: int) -> fx.Node:
    """Return what `view` makes but with the dimensions from `dim` to before `last` as one."""
    bound = arguments(view)
    source: fx.Node = bound["self"]
    offset = source_dim if view.target is _aten.unflatten.int else 0
    sizes = list(bound[VIEWS[view.target]])
    sizes[dim - offset : last - offset] = [prod(int(size) for size in value(view).shape[dim:last])]
    if view.target is not _aten.unflatten.int:
        merged = emit(view, _aten.reshape.default, source, sizes)
    elif len(sizes) > 1:
        merged = emit(view, _aten.unflatten.int, source, source_dim, sizes)
    else:
        return source
    if same_shape(value(merged), value(source)):
        view.graph.erase_node(merged)
        return source
    return merged


def _again(carrier: fx.Node, source: fx.Node, at: int, size: int) -> fx.Node:
    """Apply `carrier` to a part of its operand: dimension `at` of the result has this size."""
    name = VIEWS.get(carrier.target)
    bound = arguments(carrier)
    if name is not None:
        at -= bound["dim"] % value(source).ndim if carrier.target is _aten.unflatten.int else 0
        sizes = list(bound[name])
        if 0 <= at < len(sizes):
            sizes[at] = size
        target = _aten.unflatten.int if carrier.target is _aten.unflatten.int else _aten.reshape.default
        return emit(carrier, target, source, *([bound["dim"]] if "dim" in bound else []), sizes)
    parent = carrier.all_input_nodes[0]
    args, kwargs = fx.map_arg((carrier.args, dict(carrier.kwargs)), lambda node: source if node is parent else node)
    assert callable(carrier.target)
    return emit(carrier, carrier.target, *args, **kwargs)
