"""Leaves plain torch only: quantized weights in place of quantizers, the library's own operators written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from scfx.nodes.counted import IMPLEMENTATIONS
from scfx.nodes.lookups import PLAIN
from scfx.nodes.merging import MERGE, placed_sum
from scfx.passes.base import Pass
from scfx.passes.building import device_of, hold_constant
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


@dataclass(frozen=True)
class WriteOutLookups(Pass):
    """Puts the indices that lookups name into constants of the root, as torch has them; what names none goes."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        for node in list(graph.nodes):
            plain = PLAIN.get(node.target)
            if plain is None:
                continue
            arguments = bind(node.target, node.args, node.kwargs)
            if arguments["index"] is None:
                node.replace_all_uses_with(node.args[0])
                graph.erase_node(node)
                changes += 1
                continue
            index = torch.tensor(arguments["index"], dtype=torch.int64, device=device_of(root))
            with graph.inserting_before(node):
                arguments["index"] = graph.get_attr(hold_constant(root, index))
                made = graph.call_function(plain, (), {_NAMES.get(name, name): one for name, one in arguments.items()})
            made.meta.update(node.meta)
            node.replace_all_uses_with(made)
            graph.erase_node(node)
            changes += 1
        return changes


@dataclass(frozen=True)
class WriteOutMerges(Pass):
    """Writes the sums in which branches meet out in plain torch operators, with indices as constants of the root."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        tracer = fx.proxy.GraphAppendingTracer(graph)
        for node in list(graph.nodes):
            if node.target is not MERGE:
                continue
            arguments = bind(node.target, node.args, node.kwargs)
            if arguments["self_at"] is None and arguments["other_at"] is None:
                node.target, node.args = torch.ops.aten.add.Tensor, node.args[:2]
            else:
                rank = len(node.meta["shape"])

                def index(places: Sequence[int]) -> Any:
                    values = torch.tensor(places, dtype=torch.int64, device=device_of(root))
                    return fx.Proxy(graph.get_attr(hold_constant(root, values)), tracer)

                arguments |= {n: fx.Proxy(arguments[n], tracer) for n in ("self", "other")}
                arguments["dim"] %= rank
                with graph.inserting_before(node):
                    result = placed_sum(**arguments, index=index, rank=rank, dtype=node.meta["dtype"])
                node.replace_all_uses_with(result.node)  # type: ignore[attr-defined]
                graph.erase_node(node)
            changes += 1
        return changes


#: What torch calls an argument by another name.
_NAMES = {"src": "source"}
