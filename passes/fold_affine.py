"""Layers take over the norms, scales and shifts beside them. It decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from scfx.passes.add_biases import give_bias
from scfx.passes.base import Pass
from scfx.passes.building import fetch


@dataclass(frozen=True)
class Fold:
    """A node that a layer takes over.

    Attributes:
        node, source: The node that goes, and the value that stands in its place.
        layer: The layer's node.
        weight, values: The name of its weight, and what it becomes.
        scales: What the weight's whole numbers are multiplied by then; None if it isn't quantized.
        amount: What the layer's bias becomes; None if it needs none.
        bias: The name of its bias, if nothing else reads that; None if it has to get one.
    """

    node: str
    source: str
    layer: str
    weight: str
    values: Tensor
    scales: Tensor | None
    amount: Tensor | None
    bias: str | None


@dataclass(frozen=True)
class FoldAffine(Pass):
    """Puts the values of a plan into weights and biases, and takes out the nodes that are in them then.

    Attributes:
        folds: No node and no layer twice.
    """

    folds: tuple[Fold, ...]

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        nodes = {node.name: node for node in graph.nodes}
        changes = 0
        for each in self.folds:
            node = nodes.get(each.node)
            if node is None:
                continue
            with torch.no_grad():
                fetch(root, each.weight).data = each.values
                if each.amount is not None and each.bias is not None:
                    fetch(root, each.bias).data = each.amount
            if each.amount is not None and each.bias is None:
                give_bias(nodes[each.layer], "bias", each.weight, each.amount, root)
            node.replace_all_uses_with(nodes[each.source])
            graph.erase_node(node)
            changes += 1
        return changes
