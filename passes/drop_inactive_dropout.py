"""Replace dropout that does nothing by its input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn
from torch._ops import OpOverload

from scfx.passes.base import Pass
from scfx.passes.building import arguments, operators, replace

_aten = torch.ops.aten

_DROPOUTS = (_aten.dropout, _aten.feature_dropout, _aten.alpha_dropout, _aten.feature_alpha_dropout)
_DROPOUTS_ = (_aten.dropout_, _aten.feature_dropout_, _aten.alpha_dropout_, _aten.feature_alpha_dropout_)


@dataclass(frozen=True)
class DropInactiveDropout(Pass):
    """Replace dropout outside of training, or with probability 0, by its input.

    There the operator returns the very tensor it was given, so a write to its result is a write to its input. The
    recorded values do not show that, which is why this comes before `Functionalize`.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Replace them and return how many there were."""
        changes = 0
        for node in operators(graph):
            assert isinstance(node.target, OpOverload)
            if node.target.overloadpacket in _DROPOUTS + _DROPOUTS_:
                bound = arguments(node)
                source = bound["input"] if "input" in bound else bound["self"]
                if not bound["train"] or bound["p"] == 0:
                    replace(node, source)
                    changes += 1
        return changes
