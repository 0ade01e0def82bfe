"""Drop the checks that export writes into a graph: sizes change, and a call is checked before it gets there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn
from torch._ops import OpOverload

from scfx.passes.base import Pass

_aten = torch.ops.aten

_CHECKS = frozenset(
    {
        _aten._assert_async,
        _aten._assert_scalar,
        _aten._assert_tensor_metadata,
        _aten._functional_assert_async,
        _aten._functional_assert_scalar,
        _aten.sym_constrain_range,
        _aten.sym_constrain_range_for_size,
        _aten._functional_sym_constrain_range,
        _aten._functional_sym_constrain_range_for_size,
    }
)


@dataclass(frozen=True)
class DropAssertions(Pass):
    """Erase `_assert_*`, `sym_constrain_range*`, `torch._check` and the guard call of an exported module."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Erase the checks; what they alone need is dead then and left to `EliminateDeadCode`."""
        checks = [node for node in reversed(graph.nodes) if _is_check(node) and not node.users]
        for node in checks:
            graph.erase_node(node)
        return len(checks)


def _is_check(node: fx.Node) -> bool:
    if node.op == "call_module":
        return node.target == "_guards_fn"
    if node.op != "call_function":
        return False
    target = node.target.overloadpacket if isinstance(node.target, OpOverload) else node.target
    return target in _CHECKS or target is torch._check
