"""Write down the order of the indices of a dim: channel shuffles, and lookups with constant indices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, cast

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from scfx.nodes.lookups import TAKE
from scfx.passes.base import Pass
from scfx.passes.building import CONSTANT_PREFIXES, arguments, emit, fetch, is_tensor, operators, replace, value

_aten = torch.ops.aten

_VIEWS = (_aten.view.default, _aten._unsafe_view.default, _aten.reshape.default, _aten.flatten.using_ints)
_MOVES = (_aten.permute.default, _aten.transpose.int, _aten.swapaxes.default, _aten.swapdims.default)
_REST = (_aten.unflatten.int, _aten.contiguous.default, _aten.clone.default)

#: Sizes that stand for the symbols of a graph, one after the other, in two trial runs of a shuffle.
_TRIALS = ((3, 5, 7, 11), (5, 7, 3, 13))

#: A shuffle is tried out on a tensor of no more elements than this.
MAX_ELEMENTS = 2**23

#: Longer lists of indices are left in their tensor.
MAX_INDICES = 2**14


@dataclass(frozen=True)
class ExplicitOrders(Pass):
    """Replace what only puts the indices of one dim in another order, or picks some of them, by `scfx.take`.

    Such are a view that splits a dim, a transposition of its parts and a view that joins them again, as in a channel
    shuffle: as views they would ask that channels go by whole rows. And so are lookups by constants in the code of the
    model, each index once at most. An order in a buffer of the user's stays there, since the user may load another.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Replace them and return how many there were."""
        changes = 0
        for node in operators(graph):
            found = _shuffled(node) or _looked_up(node, root) or _moved(node)
            if found is not None:
                source, dim, index = found
                with graph.inserting_before(node):
                    replace(node, emit(node, TAKE, source, dim, index))
                changes += 1
        return changes


_Found = tuple[fx.Node, int, list[int]]


def _shuffled(node: fx.Node) -> _Found | None:
    """PyTorch's own channel shuffle, along dim 1."""
    if node.target not in (_aten.channel_shuffle.default, _aten.native_channel_shuffle.default):
        return None
    bound = arguments(node)
    size = value(bound["self"]).shape[1]
    if not isinstance(size, int) or size > MAX_INDICES:
        return None
    return bound["self"], 1, torch.arange(size).reshape(bound["groups"], -1).T.reshape(-1).tolist()


def _looked_up(node: fx.Node, root: nn.Module) -> _Found | None:
    if node.target is _aten.index_select.default:
        bound = arguments(node)
        source, dim, index = bound["self"], bound["dim"], bound["index"]
    elif node.target is _aten.index.Tensor:
        source, given = node.args
        places = [place for place, one in enumerate(cast("list[Any]", given)) if one is not None]
        if len(places) != 1:
            return None
        dim = places[0]
        index = cast("list[Any]", given)[dim]
    else:
        return None
    if not is_tensor(source) or index.op != "get_attr" or not str(index.target).startswith(CONSTANT_PREFIXES):
        return None
    held, size = fetch(root, str(index.target)), value(source).shape[dim]
    if held.dtype in (torch.bool, torch.uint8) or held.ndim != 1 or held.numel() > MAX_INDICES or held.is_meta:
        return None
    if not isinstance(size, int):
        return None
    numbers = [number % size for number in held.tolist()]
    return (source, dim, numbers) if len(set(numbers)) == len(numbers) else None


# --------------------------------------------------------------- shuffles


def _moved(node: fx.Node) -> _Found | None:
    """What a chain of views that ends with this one reorders, where it is one dim alone."""
    if node.target not in _VIEWS:
        return None
    chain = [node]
    for source in _sources(node):
        if not is_tensor(source):
            return None
        if any(step.target in _MOVES for step in chain) and value(source).shape == value(node).shape:
            orders = [_order(source, chain[::-1], sizes) for sizes in _TRIALS]
            found = orders[0]
            return (source, *found) if found is not None and orders[1] == found else None
        chain.append(source)
    return None


def _sources(node: fx.Node) -> Iterator[fx.Node]:
    """The values that a view is made of by other views and transpositions, the nearest first."""
    while node.target in (*_VIEWS, *_MOVES, *_REST):
        source = node.args[0]
        assert isinstance(source, fx.Node)
        yield source
        node = source


def _order(source: fx.Node, chain: list[fx.Node], trial: tuple[int, ...]) -> tuple[int, list[int]] | None:
    """Runs views on numbered elements: along which dim they are reordered, and how."""
    symbols: dict[Any, int] = {}
    shape = [_tried(size, symbols, trial) for size in value(source).shape]
    if not 0 < prod(shape) <= MAX_ELEMENTS:
        return None
    given = made = torch.arange(prod(shape)).reshape(shape)
    for step in chain:
        rest = {name: one for name, one in arguments(step).items() if name != "self"}
        try:
            made = cast("Any", step.target)(made, **pytree.tree_map(lambda one: _tried(one, symbols, trial), rest))
        except RuntimeError:  # the sizes that are tried don't divide as those of the model do
            return None
    if torch.equal(made, given):
        return None
    for dim, size in enumerate(shape):
        line = made.movedim(dim, 0).reshape(size, -1)[:, 0]
        index = line // given.stride(dim) % size
        if torch.equal(given.index_select(dim, index), made):
            return dim, index.tolist()
    return None


def _tried(size: Any, symbols: dict[Any, int], trial: tuple[int, ...]) -> Any:
    """A size with a number for each symbol; anything else as it is."""
    if isinstance(size, fx.Node):
        size = value(size)
    if not isinstance(size, torch.SymInt):
        return size
    expression = size.node.expr
    for symbol in sorted(expression.free_symbols, key=str):
        symbols.setdefault(symbol, trial[len(symbols) % len(trial)])
    return int(expression.subs({symbol: symbols[symbol] for symbol in expression.free_symbols}))
