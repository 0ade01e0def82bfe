"""Dissolve the regions that `torch.no_grad` and its kin leave in an exported graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch._ops import OpOverload

from scfx.passes.base import Pass
from scfx.passes.building import emit, fetch, is_tensor
from scfx.passes.grad import DISABLED, GradFlow
from scfx.passes.inlining import inline_call

_REGION = torch.ops.higher_order.wrap_with_set_grad_enabled


@dataclass(frozen=True)
class InlineGradMode(Pass):
    """Inline `wrap_with_set_grad_enabled`.

    A value that was computed without grad and is used where grad is enabled goes through `aten.detach` on the way, if
    it depends on anything that may require grad. This covers nested regions too. Nodes from a region without grad are
    marked in `meta`: `Functionalize` needs to know which in-place operators autograd did not see.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Inline every region, innermost last, and return how many there were."""
        regions = 0
        while calls := graph.find_nodes(op="call_function", target=_REGION):
            for call in calls:
                enabled, handle, *args = call.args
                assert isinstance(handle, fx.Node)
                inline_call(call, fetch(root, str(handle.target)), args, root, _marker(bool(enabled)))
                regions += 1
        if regions:
            _detach(graph, root)
        return regions


def _marker(enabled: bool) -> Callable[[fx.Node], None]:
    def mark(node: fx.Node) -> None:
        # The mode of a region nested in another one is that of the inner region.
        if enabled:
            node.meta.pop(DISABLED, None)
        else:
            node.meta[DISABLED] = True

    return mark


def _detach(graph: fx.Graph, root: nn.Module) -> None:
    flow = GradFlow(root)
    for node in list(graph.nodes):
        # An in-place operator returns what it was given, whose history the region leaves alone.
        writes = isinstance(node.target, OpOverload) and node.target._schema.is_mutable
        if DISABLED not in node.meta or writes or not is_tensor(node):
            continue
        outside = [user for user in node.users if DISABLED not in user.meta]
        if outside and flow.may_need(node):
            with graph.inserting_after(node):
                detached = emit(node, torch.ops.aten.detach.default, node)
            detached.meta.pop(DISABLED)
            for user in outside:
                user.replace_input_with(node, detached)
