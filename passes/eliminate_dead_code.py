"""Erase what nobody uses, so that sizes baked into dead nodes cannot get in the way later."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch._ops import OpOverload

from scfx.passes.base import Pass
from scfx.passes.effects import is_random, writes_state


@dataclass(frozen=True)
class EliminateDeadCode(Pass):
    """Erase nodes without users, except inputs, writes to buffers, random operators, and calls of regions.

    Random operators stay because without them every later random number would differ from the original's.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Erase dead nodes and return how many there were."""
        erased = 0
        for node in list(reversed(graph.nodes)):
            if not node.users and _may_go(node):
                graph.erase_node(node)
                erased += 1
        return erased


def _may_go(node: fx.Node) -> bool:
    if node.op == "get_attr":
        return True
    if node.op != "call_function":
        return False
    if isinstance(node.target, OpOverload):
        return not (writes_state(node) or is_random(node))
    name = getattr(node.target, "__module__", "")
    return node.target is operator.getitem or name in ("_operator", "math", "torch", torch.sym_max.__module__)
