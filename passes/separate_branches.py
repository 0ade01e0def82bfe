"""Marks the sums in which residual branches meet as operators that let each side have channels of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import fx, nn

from scfx.nodes.merging import MERGE
from scfx.passes.base import Pass
from scfx.passes.building import arguments, operators

_ADD = torch.ops.aten.add.Tensor


@dataclass(frozen=True)
class SeparateBranches(Pass):
    """Turns sums into `scfx.merge`, and every merge that isn't named and has all channels back into a sum.

    Attributes:
        dims: By node name, the dimension along which operands and sum get channels of their own.
    """

    dims: Mapping[str, int]

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        for node in operators(graph):
            dim = self.dims.get(node.name)
            if node.target is _ADD and dim is not None:
                node.target = MERGE
                node.args = (*node.args[:2], dim, node.meta["shape"][dim])
            elif node.target is MERGE and dim is None and not _lists(node):
                node.target = _ADD
                node.args = node.args[:2]
            else:
                continue
            node.kwargs = {}
            changes += 1
        return changes


def _lists(node: fx.Node) -> bool:
    bound = arguments(node)
    return bound["self_at"] is not None or bound["other_at"] is not None
