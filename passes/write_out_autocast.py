"""Writes operators with a setting of autocast of their own as torch has them: regions of one operator each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn

from scfx.nodes.autocasting import ORIGINALS, Setting
from scfx.passes.base import Pass
from scfx.passes.building import device_of, free_name


@dataclass(frozen=True)
class WriteOutAutocast(Pass):
    """Puts each of torch's operators into a region of its own, and gives back the library's, to be written out."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        for node in list(graph.nodes):
            known = ORIGINALS.get(node.target)
            if known is None:
                continue
            node.target, setting = known
            if node.target.namespace == "aten":
                _enclose(graph, root, node, setting)
            changes += 1
        return changes


def _enclose(graph: fx.Graph, root: nn.Module, node: fx.Node, setting: Setting) -> None:
    inner = fx.Graph()
    outside = node.all_input_nodes
    inside = {source: inner.placeholder(f"value_{number}") for number, source in enumerate(outside)}
    inner.output(inner.node_copy(node, inside.__getitem__))
    name = free_name(root, "_region_")
    root.add_module(name, fx.GraphModule(root, inner))
    with graph.inserting_before(node):
        handle = graph.get_attr(name)
    enabled, dtype = setting
    node.target = torch.ops.higher_order.wrap_with_autocast
    node.args, node.kwargs = (device_of(root).type, dtype, enabled, None, handle, *outside), {}
