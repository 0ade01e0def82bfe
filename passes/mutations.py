"""Which buffers and inputs a graph writes to, through views and inside of regions too."""

from __future__ import annotations

from torch import fx, nn
from torch._ops import HigherOrderOperator

from scfx.passes.aliases import Aliases, find_aliases
from scfx.passes.building import fetch
from scfx.passes.effects import updated_statistics, written


def mutated_buffers(graph: fx.Graph, root: nn.Module) -> frozenset[str]:
    """Return the names of the buffers (targets of `get_attr` nodes) that running `graph` changes.

    The graph may be as exported or normalized; its nodes carry fake values in `meta["val"]`.
    """
    return frozenset(
        str(node.target) for node in written_state(graph, root, find_aliases(graph)) if node.op == "get_attr"
    )


def written_state(graph: fx.Graph, root: nn.Module, aliases: Aliases) -> frozenset[fx.Node]:
    """Return the `get_attr` and placeholder nodes whose content running `graph` changes."""
    touched = (
        target
        for node in graph.nodes
        for target in written(node) + updated_statistics(node) + region_writes(node, root)
    )
    return frozenset(base for base in map(aliases.base, touched) if base.op in ("get_attr", "placeholder"))


def region_writes(node: fx.Node, root: nn.Module) -> list[fx.Node]:
    """Return the operands of a call of a region (a GraphModule on `root`) that the region writes to."""
    if not isinstance(node.target, HigherOrderOperator):
        return []
    found: list[fx.Node] = []
    for position, argument in enumerate(node.args):
        region = (
            fetch(root, str(argument.target)) if isinstance(argument, fx.Node) and argument.op == "get_attr" else None
        )
        if isinstance(region, fx.GraphModule):
            holders = region.graph.find_nodes(op="placeholder")
            operands = dict(zip(holders, node.args[position + 1 :], strict=False))
            inside = written_state(region.graph, region, find_aliases(region.graph))
            found.extend(
                operand for holder, operand in operands.items() if holder in inside and isinstance(operand, fx.Node)
            )
    return found
