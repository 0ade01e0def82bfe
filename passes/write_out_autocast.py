"""Writes operators with a setting of autocast of their own as torch has them: regions of one operator each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from scfx.nodes.autocasting import ORIGINALS, Setting
from scfx.passes.base import Pass
from scfx.passes.building import device_of, free_name

_REGION = torch.ops.higher_order.wrap_with_autocast


class RegionTracer(fx.Tracer):
    """Reads regions back when a GraphModule is unpickled: the plain tracer would go inside and forget the setting."""

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Record the call of a region in place of what is called in it."""
        assert isinstance(m, fx.GraphModule)
        (setting,) = (node.args[0] for node in m.graph.find_nodes(op="placeholder") if node.args)
        handle = self.create_proxy("get_attr", self.path_of_module(m), (), {})
        return self.create_proxy("call_function", _REGION, (*setting, handle, *args), {})


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
    """Moves a node into a region, whose last argument only says, by its default, how the region is called."""
    inner = fx.Graph()
    outside = node.all_input_nodes
    inside = {source: inner.placeholder(f"value_{number}") for number, source in enumerate(outside)}
    enabled, dtype = setting
    call = device_of(root).type, dtype, enabled, None
    inner.placeholder("called_with", default_value=call)
    inner.output(inner.node_copy(node, inside.__getitem__))
    name = free_name(root, "_region_")
    root.add_module(name, fx.GraphModule(root, inner))
    with graph.inserting_before(node):
        handle = graph.get_attr(name)
    node.target, node.args, node.kwargs = _REGION, (*call, handle, *outside), {}
    graph._tracer_cls = RegionTracer
