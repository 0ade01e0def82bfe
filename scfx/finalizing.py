"""From a compressed module to a plain GraphModule: quantized weights in place, nothing of scfx inside."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from scfx.passes.finalize import DropQuantizers, WriteOutCounted
from scfx.program import Program
from scfx.quantizer import Quantizer


def finalized(program: Program) -> fx.GraphModule:
    """The eval graph as a plain, compact GraphModule that is called as the model is."""
    graph = copy.deepcopy(program.graphs["eval"])
    root = copy.deepcopy(program.root)
    with torch.no_grad():
        for node in graph.nodes:
            if node.op == "call_module":
                quantizer, weight = root.get_submodule(str(node.target)), root.get_parameter(str(node.args[0].target))
                weight.data = quantizer(weight).detach()
    for step in (DropQuantizers(), WriteOutCounted()):
        step(graph, root)
    _drop_quantizers(root)
    _plain_call(graph, program)
    graph.eliminate_dead_code()
    graph._tracer_cls = fx.Tracer
    result = fx.GraphModule(root, graph, class_name="Compact")
    return result.eval()


def _drop_quantizers(root: nn.Module) -> None:
    for module in list(root.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Quantizer):
                delattr(module, name)


def _plain_call(graph: fx.Graph, program: Program) -> None:
    """Gives the graph the model's own arguments and output, as far as the model takes tensors and returns plain containers."""
    call = program.call
    output = next(node for node in graph.nodes if node.op == "output")
    result: Any = pytree.tree_unflatten(list(output.args[0]), call.out_specs["eval"])
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    output.args = (result,)
    for node, leaf in zip(placeholders, call.inputs, strict=True):
        if leaf.shape is None:
            graph.erase_node(node)
