"""Let regrouping copy where it must: whether a value can be viewed is a matter of its layout in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn

from scfx.passes.base import Pass
from scfx.passes.building import arguments, operators

_aten = torch.ops.aten


@dataclass(frozen=True)
class ViewsAsReshapes(Pass):
    """Replace `view` by `reshape`, which gives the same values and also takes what cannot be viewed.

    Operators choose the layout of what they make by sizes, dtype and device. Attention, for one, runs other code once
    values have fewer features than queries, and then puts heads outside of places in memory. So a view that was
    possible at capture need not be possible later. Nothing writes in place any more, so a copy makes no difference.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Replace the views and return how many there were."""
        changes = 0
        for node in operators(graph):
            if node.target in (_aten.view.default, _aten._unsafe_view.default):
                bound = arguments(node)
                node.target, node.args, node.kwargs = _aten.reshape.default, (bound["self"], bound["size"]), {}
                changes += 1
        return changes
