"""Leaves plain torch only: quantized weights in place of quantizers, the library's own operators written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import fx, nn

from scfx.nodes.counted import IMPLEMENTATIONS
from scfx.nodes.lookups import PLAIN
from scfx.nodes.merging import MERGE, placed_sum
from scfx.passes.base import Pass
from scfx.passes.building import device_of, hold_constant
from scfx.passes.write_out import WriteOut


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
class WriteOutCounted(WriteOut):
    """Writes each counted operator out in plain torch operators."""

    def concerns(self, target: Any) -> bool:
        return str(target) in IMPLEMENTATIONS

    def instead(self, node: fx.Node, arguments: dict[str, Any], root: nn.Module) -> fx.Node:
        return _traced(fx.proxy.GraphAppendingTracer(node.graph), IMPLEMENTATIONS[str(node.target)], arguments)


@dataclass(frozen=True)
class WriteOutLookups(WriteOut):
    """Puts the indices that lookups name into constants of the root, as torch has them; what names none goes."""

    def concerns(self, target: Any) -> bool:
        return target in PLAIN

    def instead(self, node: fx.Node, arguments: dict[str, Any], root: nn.Module) -> fx.Node:
        if arguments["index"] is None:
            kept: fx.Node = arguments["self"]
            return kept
        arguments["index"] = _held(node.graph, arguments["index"], root)
        named = {_NAMES.get(name, name): argument for name, argument in arguments.items()}
        made = node.graph.call_function(PLAIN[node.target], (), named)
        made.meta.update(node.meta)
        return made


@dataclass(frozen=True)
class WriteOutMerges(WriteOut):
    """Writes the sums in which branches meet out in plain torch operators, with indices as constants of the root."""

    def concerns(self, target: Any) -> bool:
        return target is MERGE

    def instead(self, node: fx.Node, arguments: dict[str, Any], root: nn.Module) -> fx.Node:
        rank, dtype = len(node.meta["shape"]), node.meta["dtype"]
        if arguments["self_at"] is None and arguments["other_at"] is None:
            made = node.graph.call_function(torch.ops.aten.add.Tensor, (arguments["self"], arguments["other"]))
            made.meta.update(node.meta)
            return made
        tracer = fx.proxy.GraphAppendingTracer(node.graph)

        def index(places: Sequence[int]) -> Any:
            return fx.Proxy(_held(node.graph, places, root), tracer)

        arguments["dim"] %= rank
        return _traced(tracer, partial(placed_sum, index=index, rank=rank, dtype=dtype), arguments)


def _traced(tracer: fx.proxy.TracerBase, function: Callable[..., Any], arguments: dict[str, Any]) -> fx.Node:
    """The operators that a function of tensors calls, as nodes; the last one."""
    result = function(**{k: fx.Proxy(v, tracer) if isinstance(v, fx.Node) else v for k, v in arguments.items()})
    made: fx.Node = result.node
    return made


def _held(graph: fx.Graph, indices: Sequence[int], root: nn.Module) -> fx.Node:
    """Indices as a constant of the root."""
    return graph.get_attr(hold_constant(root, torch.tensor(indices, dtype=torch.int64, device=device_of(root))))


#: What torch calls an argument by another name.
_NAMES = {"src": "source"}
