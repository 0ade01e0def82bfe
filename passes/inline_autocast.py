"""Dissolve the regions that `torch.autocast` leaves in an exported graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn
from torch._ops import OpOverload
from torch.utils import _pytree as pytree

from scfx.nodes.autocasting import Setting, is_cast, under
from scfx.passes.base import Pass
from scfx.passes.building import AUTOCAST, fetch, operators, value
from scfx.passes.inlining import inline_call

_REGION = torch.ops.higher_order.wrap_with_autocast


@dataclass(frozen=True)
class InlineAutocast(Pass):
    """Inline each `wrap_with_autocast`, and note in `meta` how autocast was set there, for `ExplicitAutocast`."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Inline every region, innermost last, and return how many there were."""
        regions = 0
        while calls := graph.find_nodes(op="call_function", target=_REGION):
            for call in calls:
                device, dtype, enabled, _, handle, *args = call.args
                assert isinstance(handle, fx.Node)
                region = fetch(root, str(handle.target))
                _mark(region, str(device), (bool(enabled), dtype if enabled else None))
                inline_call(call, region, args, root)
                regions += 1
        return regions


@dataclass(frozen=True)
class ExplicitAutocast(Pass):
    """Where autocast may change an operator from such a region, the one takes its place that has its own setting."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        for node in operators(graph):
            assert isinstance(node.target, OpOverload)
            if AUTOCAST in node.meta and is_cast(node.target):
                node.target = under(node.target, node.meta[AUTOCAST])
                changes += 1
        return changes


def _mark(region: fx.GraphModule, device: str, setting: Setting) -> None:
    """Marks what a region, and each region within, computes on the device whose autocast is set there."""
    for node in region.graph.nodes:
        made = [leaf for leaf in pytree.tree_leaves(value(node)) if isinstance(leaf, torch.Tensor)]
        if node.op == "call_function" and made and made[0].device.type == device:
            node.meta[AUTOCAST] = setting
    for inner in region.children():
        if isinstance(inner, fx.GraphModule):
            _mark(inner, device, setting)
