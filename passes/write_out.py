"""What writes the library's own operators out has in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from scfx.passes.base import Pass
from scfx.signatures.call import bind


@dataclass(frozen=True)
class WriteOut(Pass):
    """Puts something else in the place of some operators: a subclass says of which, and what."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        for node in list(graph.nodes):
            if not self.concerns(node.target):
                continue
            with graph.inserting_before(node):
                made = self.instead(node, bind(node.target, node.args, node.kwargs), root)
            node.replace_all_uses_with(made)
            graph.erase_node(node)
            changes += 1
        return changes

    @abstractmethod
    def concerns(self, target: Any) -> bool:
        """Whether it is such an operator."""

    @abstractmethod
    def instead(self, node: fx.Node, arguments: dict[str, Any], root: nn.Module) -> fx.Node:
        """What makes the node's value from now on, added at the graph's insertion point."""
