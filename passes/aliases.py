"""Which values of a graph share memory: views, and operators that return what they were given."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch._ops import HigherOrderOperator
from torch.utils import _pytree as pytree

from scfx.passes.building import value
from scfx.passes.effects import written

#: Copies whose recorded value shares memory with the original all the same, because tracing knows the constant.
_COPIES = (torch.ops.aten.lift_fresh_copy.default, torch.ops.aten.clone.default)


#: Views that depend on the layout in memory of what they view, which a functional form does not keep.
_LAYOUT = (torch.ops.aten.as_strided.default,)


@dataclass(frozen=True)
class Aliases:
    """The forest of views of a graph.

    Attributes:
        parent: For each node that shares memory with one of its inputs, that input. A list of views has its source as
            parent, and an item of the list has the list.
        opaque: Nodes that share memory with an input in a way that nothing here can follow.
    """

    parent: dict[fx.Node, fx.Node]
    opaque: frozenset[fx.Node]

    def base(self, node: fx.Node) -> fx.Node:
        """Return the node that owns the memory of `node`."""
        while node in self.parent:
            node = self.parent[node]
        return node


def find_aliases(graph: fx.Graph) -> Aliases:
    """Find the views of `graph` from the storages of its recorded fake values."""
    parent: dict[fx.Node, fx.Node] = {}
    opaque: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op != "call_function" or node.target in _COPIES:
            continue
        if node.target is operator.getitem:
            if node.args[0] in parent:
                parent[node] = node.args[0]
            continue
        targets = written(node)
        if targets:
            if len(targets) == 1 and _storages(value(node)):
                parent[node] = targets[0]
            continue
        shared = [source for source in node.all_input_nodes if _storages(value(source)) & _storages(value(node))]
        if isinstance(node.target, HigherOrderOperator) or node.target in _LAYOUT or len(shared) > 1:
            opaque.update([node] if shared else [])
        elif shared:
            parent[node] = shared[0]
    return Aliases(parent, frozenset(opaque))


def shares_memory(left: fx.Node, right: fx.Node) -> bool:
    """Say whether the recorded values of two nodes lie in one storage."""
    return bool(_storages(value(left)) & _storages(value(right)))


def _storages(fake: Any) -> set[int]:
    leaves = pytree.tree_leaves(fake)
    return {leaf.untyped_storage()._cdata for leaf in leaves if isinstance(leaf, torch.Tensor)}
