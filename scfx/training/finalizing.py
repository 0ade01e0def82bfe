"""From a compressed module to a plain GraphModule: quantized weights in place, nothing of scfx inside."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, fx, nn
from torch.fx.graph import _PyTreeCodeGen, _PyTreeInfo
from torch.utils import _pytree as pytree

from scfx.capture.program import Mode, Program
from scfx.graph.channels import ChannelGraph
from scfx.nodes.quantizer import Quantizer
from scfx.passes.add_biases import AddBiases
from scfx.passes.drop_no_ops import DropNoOps
from scfx.passes.evaluate_constants import EvaluateConstants
from scfx.passes.finalize import DropQuantizers, WriteOutCounted, WriteOutLookups, WriteOutMerges
from scfx.passes.fold_affine import FoldAffine
from scfx.passes.grouped_products import WriteOutGrouped
from scfx.passes.in_place import written_in_place
from scfx.passes.prune import Prune
from scfx.passes.share_constants import ShareConstants
from scfx.passes.write_out_autocast import WriteOutAutocast
from scfx.removal.constants import find_constants
from scfx.removal.dead import find_absorbable, worth_removing
from scfx.removal.folds import find_folds
from scfx.removal.plan import PrunePlan, make_plan
from scfx.removal.zero_facts import ZeroFacts
from scfx.surgery.pruning import slice_state


def finalized(channels: ChannelGraph, fold: bool = True) -> fx.GraphModule:
    """The eval graph as a plain, compact GraphModule that is called as the model is.

    Args:
        channels: Of the network.
        fold: Whether layers take over the norms, scales and shifts beside them.
    """
    program, plan = channels._program, _last_plan(channels)
    graph = copy.deepcopy(program.graphs["eval"])
    root = copy.deepcopy(program.root)
    slice_state(root, plan)
    Prune(plan.edits["eval"], plan.shapes["eval"])(graph, root)
    AddBiases(tuple(absorbed for absorbed in plan.absorbed if absorbed.bias is None))(graph, root)
    bits: dict[str, list[int]] = {}
    scales: dict[str, Tensor] = {}
    with torch.no_grad():
        for node in graph.nodes:
            if node.op == "call_module":
                name, quantizer = str(node.args[0].target), root.get_submodule(str(node.target))
                assert isinstance(quantizer, Quantizer)
                weight = root.get_parameter(name)
                weight.data = quantizer(weight).detach() + 0.0  # a zero is positive, as whole numbers have but one
                bits[name] = quantizer.storage_bits().tolist()
                scales[name] = quantizer.scales(weight).cpu()
    graph._tracer_cls = fx.Tracer
    for step in (
        DropQuantizers(),
        WriteOutAutocast(),
        WriteOutCounted(),
        WriteOutLookups(),
        WriteOutMerges(),
        WriteOutGrouped(),
    ):
        step(graph, root)
    _drop_quantizers(root)
    if fold:
        _fold(graph, root, scales)
    _note_inputs(graph, program)
    _plain_call(graph, program)
    graph.eliminate_dead_code()
    with written_in_place(graph, final=fold):
        result = fx.GraphModule(root, graph, class_name="Compact")
    result.meta["bits"], result.meta["scales"] = bits, scales
    return result.eval()


def _fold(graph: fx.Graph, root: nn.Module, scales: dict[str, Tensor]) -> None:
    EvaluateConstants(frozenset(scales))(graph, root)
    DropNoOps()(graph, root)
    ShareConstants()(graph, root)
    while folds := find_folds(graph, root, scales):
        FoldAffine(folds)(graph, root)
        scales.update({each.weight: each.scales for each in folds if each.scales is not None})


def _last_plan(channels: ChannelGraph) -> PrunePlan:
    """What goes now that nothing trains any more and only the eval graph counts: each zero, and each constant."""
    facts = ZeroFacts(channels, final=True)
    modes: tuple[Mode, ...] = ("eval",)
    constants = find_constants(channels, facts, modes, new_bias=True)
    gone = find_absorbable(channels, facts, constants, modes, {})
    return make_plan(channels, worth_removing(channels, facts, gone, modes, constants), constants)


def _drop_quantizers(root: nn.Module) -> None:
    for module in list(root.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Quantizer):
                delattr(module, name)


def _note_inputs(graph: fx.Graph, program: Program) -> None:
    """Notes at each input what it was at capture, and which of its dimensions are free: exporting starts from that."""
    placeholders = (node for node in graph.nodes if node.op == "placeholder")
    for node, leaf in zip(placeholders, program.call.inputs, strict=True):
        if leaf.shape is not None:
            node.meta["example"] = leaf.example
            node.meta["free"] = tuple(dim for dim, size in enumerate(leaf.shape) if size is None)


def _plain_call(graph: fx.Graph, program: Program) -> None:
    """Gives the graph the model's own arguments and output.

    Where these are tensors and plain containers of them the graph says so itself; nested inputs and outputs of other
    types are flattened and rebuilt by the code that torch.fx generates for it.
    """
    call = program.call
    output = next(node for node in graph.nodes if node.op == "output")
    whole = call.out_specs["eval"]
    out_spec = None if _plain(whole) else whole
    if out_spec is None:
        output.args = (pytree.tree_unflatten(list(output.args[0]), whole),)
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    arguments = dict(zip(call.in_spec.context, call.in_spec.children(), strict=True))
    simple = out_spec is None and all(spec.is_leaf() for spec in arguments.values())
    last = max((index for index, leaf in enumerate(call.inputs) if leaf.shape is not None), default=-1)
    start = 0
    for name, spec in list(arguments.items()):
        leaves, nodes = (each[start : start + spec.num_leaves] for each in (call.inputs, placeholders))
        start += spec.num_leaves
        if any(leaf.shape is not None for leaf in leaves):
            continue
        # What is no tensor was fixed at capture: it becomes a default where that can be written, or it goes.
        del arguments[name]
        for node, leaf in zip(nodes, leaves, strict=True):
            if simple and start > last and isinstance(leaf.value, (bool, int, float, str, type(None))):
                node.args = (leaf.value,)
            else:
                graph.erase_node(node)
    if not simple:
        spec = pytree.tree_structure(
            [pytree.tree_unflatten([0] * spec.num_leaves, spec) for spec in arguments.values()]
        )
        graph.set_codegen(_PyTreeCodeGen(_PyTreeInfo(list(arguments), spec, out_spec)))


def _plain(spec: pytree.TreeSpec) -> bool:
    """Whether a structure is a tensor, or tuples, lists and dicts down to tensors."""
    return spec.is_leaf() or (spec.type in (tuple, list, dict) and all(map(_plain, spec.children())))
