"""Leaves plain torch only: quantized weights in place of quantizers, counted operators written out."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx, nn

from scfx.counted import IMPLEMENTATIONS
from scfx.passes.base import Pass
from scfx.signatures.call import bind


@dataclass(frozen=True)
class DropQuantizers(Pass):
    """Takes the quantizer nodes out; the weights on `root` must hold quantized values already."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        for node in list(graph.nodes):
            if node.op == "call_module":
                node.replace_all_uses_with(node.args[0])
                graph.erase_node(node)
                changes += 1
        return changes


@dataclass(frozen=True)
class WriteOutCounted(Pass):
    """Writes each counted operator out in plain torch operators."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        tracer = fx.proxy.GraphAppendingTracer(graph)
        for node in list(graph.nodes):
            implementation = IMPLEMENTATIONS.get(str(node.target))
            if implementation is None:
                continue
            arguments = bind(node.target, node.args, node.kwargs)
            with graph.inserting_before(node):
                proxies = {k: fx.Proxy(v, tracer) if isinstance(v, fx.Node) else v for k, v in arguments.items()}
                result = implementation(**proxies)
            node.replace_all_uses_with(result.node)  # type: ignore[attr-defined]
            graph.erase_node(node)
            changes += 1
        return changes
