"""Inserts a quantizer node after every weight that a plan names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import fx, nn

from scfx.passes.base import Pass


@dataclass(frozen=True)
class InsertQuantizers(Pass):
    """Sends every use of a weight through its quantizer, one for all uses.

    Attributes:
        quantizers: By the state-dict name of each weight, the path of its quantizer below the root.
    """

    quantizers: Mapping[str, str]

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        for node in list(graph.nodes):
            path = self.quantizers.get(str(node.target)) if node.op == "get_attr" else None
            users = [user for user in node.users if user.op != "call_module" or str(user.target) != path]
            if path is None or not users:
                continue
            with graph.inserting_after(node):
                made = graph.call_module(path, (node,))
            made.meta.update(node.meta)
            for user in users:
                user.replace_input_with(node, made)
            changes += 1
        return changes
