"""Replace operators that change the shape of a tensor object, such as `unsqueeze_`, by the view they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn
from torch._ops import OpOverload

from scfx.passes.base import Pass
from scfx.passes.building import operators
from scfx.passes.counterparts import counterpart

_aten = torch.ops.aten

_VIEWS = (
    _aten.unsqueeze_,
    _aten.squeeze_,
    _aten.transpose_,
    _aten.swapaxes_,
    _aten.swapdims_,
    _aten.t_,
    _aten.detach_,
    _aten.as_strided_,
)


@dataclass(frozen=True)
class ViewsInPlace(Pass):
    """Replace `unsqueeze_`, `squeeze_`, `transpose_`, `t_`, `detach_` and the like by `unsqueeze` and so on.

    They write no element. Tracing lets every later use of the tensor refer to their result: the view has all its users.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Replace them and return how many there were."""
        changes = 0
        for node in operators(graph):
            assert isinstance(node.target, OpOverload)
            if node.target.overloadpacket in _VIEWS and (view := counterpart(node.target)) is not None:
                node.target = view
                changes += 1
        return changes
