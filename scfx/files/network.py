"""A finalized network as one text and some tensors, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.graph import _PyTreeCodeGen, _PyTreeInfo

from scfx.errors import CheckpointError
from scfx.files import limits
from scfx.files.graphs import graph_from_json, graph_to_json
from scfx.files.structures import structure_from_json, structure_to_json
from scfx.files.weights import packed, unpacked
from scfx.passes.in_place import written_in_place
from scfx.passes.write_out_autocast import RegionTracer


def to_text(net: fx.GraphModule) -> tuple[str, dict[str, Tensor]]:
    """How the network is called, its tensors' names, and its graph, as JSON; and the tensors that a file is to hold.

    Raises:
        CheckpointError: Something in it can't be held by a file.
    """
    tensors: dict[str, Tensor] = {}
    records = []
    scales, bits = net.meta["scales"], net.meta["bits"]
    for name, tensor in _tensors(net):
        record, parts = packed(name, tensor, scales.get(name), bits.get(name, []))
        records.append(record)
        tensors |= parts
    graphs = _graphs(net)
    lines = {name: list(graph_to_json(graph, graphs.__contains__)) for name, graph in graphs.items()}
    return _written({"call": _call(net.graph), "tensors": records, "graphs": lines}), tensors


def from_text(text: str, tensors: dict[str, Tensor], size: int, device: torch.device) -> fx.GraphModule:
    """The opposite of `to_text`.

    Args:
        text: As it was read.
        tensors: All that the file has; they are taken out.
        size: The bytes of the file, to which what it claims is compared.
        device: Where the network is to be.

    Raises:
        CheckpointError: This is not what `to_text` makes. Where it isn't even like it, any error of Python's.
    """
    content = json.loads(text, parse_constant=_refused)
    records = content["tensors"]
    limits.check_entries([limits.entries(record["shape"]) for record in records if "shape" in record], size)
    root, bits, scales, names = nn.Module(), dict[str, list[int]](), dict[str, Tensor](), set[str]()
    for record in records:
        name = _no_other(record["name"], names)
        tensor, its_scales, widths = unpacked(record, tensors)
        if its_scales is not None:
            bits[name], scales[name] = widths, its_scales
        _put(root, name, tensor.to(device) if device.type != "cpu" else tensor)
    if tensors:
        raise CheckpointError(f"it holds {next(iter(tensors))[:80]!r}, of which nothing is said")
    lines = content["graphs"]
    for name in lines.keys() - {""}:
        _no_other(limits.identifier(name, "a region"), names)
        inner = graph_from_json(lines[name], {}, {}, device, size)
        root.add_module(name, fx.GraphModule(nn.Module(), inner))
    graph = graph_from_json(lines[""], names - lines.keys(), lines.keys() - {""}, device, size)
    if len(lines) > 1:
        graph._tracer_cls = RegionTracer
    _set_call(graph, content["call"])
    with written_in_place(graph, final=True):
        result = fx.GraphModule(root, graph, class_name="Compact")
    result.meta["bits"], result.meta["scales"] = bits, scales
    return result.eval()


def _graphs(net: fx.GraphModule) -> dict[str, fx.Graph]:
    """The graph, under no name, and those of the regions in it."""
    regions = {name: module.graph for name, module in net.named_children() if isinstance(module, fx.GraphModule)}
    return {"": net.graph} | regions


def _tensors(net: fx.GraphModule) -> Iterator[tuple[str, Tensor]]:
    """The parameters and buffers that the graph reads, by name, in the order of the graph."""
    for name in dict.fromkeys(str(node.target) for node in net.graph.nodes if node.op == "get_attr"):
        if name not in _graphs(net):
            prefix, _, last = name.rpartition(".")
            tensor = getattr(net.get_submodule(prefix), last)
            if type(tensor) not in (Tensor, nn.Parameter):
                raise CheckpointError(f"{name} is a {type(tensor).__qualname__}, which a file can't hold")
            yield name, tensor


def _written(content: dict[str, Any]) -> str:
    """JSON with a line for each tensor and each node."""

    def lines(values: list[Any]) -> str:
        return "[\n" + ",\n".join(json.dumps(value, allow_nan=False) for value in values) + "]"

    graphs = ",\n".join(f"{json.dumps(name)}: {lines(graph)}" for name, graph in content["graphs"].items())
    return (
        f'{{"call": {json.dumps(content["call"])},\n"tensors": {lines(content["tensors"])},\n"graphs": {{{graphs}}}}}\n'
    )


def _no_other(name: Any, names: set[str]) -> str:
    """The name of a tensor or region, which no other has."""
    if limits.path(name) in names:
        raise CheckpointError(f"two tensors are named {name[:80]!r}")
    names.add(name)
    return str(name)


def _put(root: nn.Module, name: str, tensor: Tensor) -> None:
    """Gives a tensor its place in the modules that its name says. Module itself refuses names that are taken."""
    *path, last = name.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    if isinstance(tensor, nn.Parameter):
        root.register_parameter(last, tensor)
    else:
        root.register_buffer(last, tensor)


def _call(graph: fx.Graph) -> Any:
    """How the network is called, where that is not what the graph says itself."""
    codegen = graph._codegen
    if not isinstance(codegen, _PyTreeCodeGen):
        return None
    info = codegen.pytree_info
    outputs = None if info.out_spec is None else structure_to_json(info.out_spec)
    return {"names": list(info.orig_args), "inputs": structure_to_json(info.in_spec), "outputs": outputs}


def _set_call(graph: fx.Graph, call: Any) -> None:
    """The opposite of `_call`."""
    if call is None:
        return
    names = [limits.identifier(name, "an argument") for name in call["names"]]
    inputs = structure_from_json(call["inputs"])
    outputs = None if call["outputs"] is None else structure_from_json(call["outputs"])
    placeholders = sum(node.op == "placeholder" for node in graph.nodes)
    if inputs.type is not list or len(inputs.children()) != len(names) or inputs.num_leaves != placeholders:
        raise CheckpointError("the structure of its inputs is not that of its arguments")
    graph.set_codegen(_PyTreeCodeGen(_PyTreeInfo(names, inputs, outputs)))


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number")
