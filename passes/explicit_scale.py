"""Write the scale of attention into the operator, so that it stays what it was when features go."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import fx, nn

from scfx.passes.base import Pass
from scfx.passes.building import arguments, operators, value


@dataclass(frozen=True)
class ExplicitScale(Pass):
    """Set `scale` of `scaled_dot_product_attention` to 1 / sqrt(d) of the recorded query where it is left out."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Set the scale and return how many nodes lacked it."""
        changes = 0
        for node in operators(graph):
            if node.target is torch.ops.aten.scaled_dot_product_attention.default:
                bound = arguments(node)
                features = value(bound["query"]).shape[-1]
                if bound["scale"] is None and isinstance(features, int):
                    node.kwargs = {**node.kwargs, "scale": 1.0 / math.sqrt(features)}
                    changes += 1
        return changes
