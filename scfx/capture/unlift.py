"""From an exported program, whose parameters are inputs, to a graph that fetches them from a module tree by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as pytree

from scfx.capture.calling import CallSpec
from scfx.errors import CaptureError

_STATE_KINDS = (InputKind.PARAMETER, InputKind.BUFFER)


def first_names(root: nn.Module) -> dict[str, str]:
    """Return, for every name of a parameter or buffer, the first name of that tensor (tied weights have several)."""
    first: dict[int, str] = {}
    canonical: dict[str, str] = {}
    for pairs in (root.named_parameters(remove_duplicate=False), root.named_buffers(remove_duplicate=False)):
        for name, tensor in pairs:
            canonical[name] = first.setdefault(id(tensor), name)
    return canonical


def leaf_positions(call: CallSpec, exported: ExportedProgram) -> list[int]:
    """Return, for each user input of `exported`, the position of its leaf among `call.inputs`.

    The exported program knows the arguments that were given, in the order they were given; `call` knows all arguments,
    defaults too, in the order of the signature.
    """
    spec = exported.call_spec.in_spec
    assert spec is not None
    markers = [_Marker(index) for index in range(spec.num_leaves)]
    args, kwargs = pytree.tree_unflatten(list(markers), spec)
    bound = call.bind(args, kwargs)
    position = {leaf: index for index, leaf in enumerate(pytree.tree_leaves(bound)) if isinstance(leaf, _Marker)}
    return [position[marker] for marker in markers]


def unlift(exported: ExportedProgram, root: nn.Module, call: CallSpec) -> fx.Graph:
    """Return the graph of `exported` with flat placeholders and with `get_attr` nodes on `root` for all state.

    Constants that the code holds become buffers of `root` that its state dict leaves out; regions such as `no_grad`
    blocks become submodules of it, for normalization to dissolve.
    """
    graph = fx.Graph()
    env: dict[fx.Node, fx.Node] = {}
    sources = {spec.arg.name: spec for spec in exported.graph_signature.input_specs}
    holders = [node for node in exported.graph.nodes if node.op == "placeholder"]
    users = [node for node in holders if sources[node.name].kind is InputKind.USER_INPUT]
    _add_placeholders(graph, call, dict(zip(leaf_positions(call, exported), users, strict=True)), env)
    canonical = first_names(root)
    fetched: dict[str, fx.Node] = {}
    for node in holders:
        spec = sources[node.name]
        if spec.kind is InputKind.USER_INPUT or not node.users:
            continue
        if spec.kind in _STATE_KINDS:
            target = canonical[str(spec.target)]
        elif spec.kind is InputKind.CONSTANT_TENSOR:
            target = hold_constant(root, exported.constants[str(spec.target)])
        else:
            raise CaptureError(
                f"the model holds {spec.target!r}, an object ({spec.kind.name}) that a plain graph cannot carry."
            )
        if target not in fetched:
            fetched[target] = graph.create_node("get_attr", target, name=node.name)
            fetched[target].meta = dict(node.meta)
        env[node] = fetched[target]
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            continue
        env[node] = copied = graph.node_copy(node, env.__getitem__)
        if node.op == "get_attr":
            copied.target = _hold(root, _fetch(exported.graph_module, str(node.target)))
        elif node.op == "output":
            copied.args = (tuple(copied.args[0]),)  # type: ignore[arg-type]  # an output's argument is a sequence
    graph.lint()
    return graph


def hold_constant(root: nn.Module, value: torch.Tensor) -> str:
    """Register `value` on `root` as a buffer outside of its state dict and return its name."""
    name = _free_name(root, "_lifted")
    root.register_buffer(name, value.detach().clone(), persistent=False)
    return name


def drop_regions(root: nn.Module, graphs: Sequence[fx.Graph]) -> None:
    """Take from `root` the submodules and constants put there by `unlift` that no graph fetches."""
    used = {node.target for graph in graphs for node in graph.nodes if node.op == "get_attr"}
    for name in [name for name in root._modules if name.startswith("_region_") and name not in used]:
        del root._modules[name]
    for name in [name for name in root._buffers if name.startswith("_lifted_") and name not in used]:
        if name in root._non_persistent_buffers_set:
            del root._buffers[name]
            root._non_persistent_buffers_set.discard(name)


class _Marker:
    """Stands for one leaf of the inputs while they are bound to the signature."""

    def __init__(self, index: int) -> None:
        self.index = index


def _add_placeholders(graph: fx.Graph, call: CallSpec, given: dict[int, fx.Node], env: dict[fx.Node, fx.Node]) -> None:
    for index, leaf in enumerate(call.inputs):
        name = "".join(c if c.isalnum() else "_" for c in leaf.name).strip("_") or "input"
        holder = graph.create_node("placeholder", name, name=name)
        holder.meta["val"] = leaf.value
        if index in given:
            env[given[index]] = holder
            holder.meta = dict(given[index].meta)


def _hold(root: nn.Module, value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return hold_constant(root, value)
    name = _free_name(root, "_region")
    root.add_module(name, value)
    return name


def _fetch(module: nn.Module, target: str) -> Any:
    value: Any = module
    for part in target.split("."):
        value = getattr(value, part)
    return value


def _free_name(root: nn.Module, stem: str) -> str:
    number = 0
    while hasattr(root, f"{stem}_{number}"):
        number += 1
    return f"{stem}_{number}"
