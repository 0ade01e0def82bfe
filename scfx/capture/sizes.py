"""Shapes on graph nodes as plain integers, with a stand-in for each size that is only known at run time."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from scfx.capture.program import Mode
from scfx.capture.stand_ins import StandIns, expression_of

#: What export records on nodes and nothing here reads; some of it holds fake tensors, which neither copy nor pickle.
_EXPORT_META = ("val", "tensor_meta", "torch_fn", "custom", "from_node", "unbacked_bindings", "original_aten", "seq_nr")


def annotate(graph: fx.Graph, root: nn.Module, mode: Mode, stand_ins: StandIns) -> None:
    """Give every node of `graph` its `shape`, `dtype` and `value` in `meta`, and drop what export recorded instead."""
    complete(graph, root)
    for node in graph.nodes:
        value = node.meta.get("val")
        if node.op == "output":
            value = None
        shape, dtype = _describe(value, mode, stand_ins)
        for key in _EXPORT_META:
            node.meta.pop(key, None)
        node.meta["shape"], node.meta["dtype"] = shape, dtype
        if isinstance(value, (int, torch.SymInt)) and not isinstance(value, bool):
            node.meta["value"] = stand_ins.size(mode, value)


def complete(graph: fx.Graph, root: nn.Module) -> None:
    """Compute `meta["val"]` of the nodes that lack it: those that a pass has made."""
    fake_mode = next((v.fake_mode for n in graph.nodes if isinstance(v := n.meta.get("val"), FakeTensor)), None)
    for node in graph.nodes:
        if node.op == "get_attr" and "val" not in node.meta:
            value = _fetch(root, str(node.target))
            node.meta["val"] = (
                fake_mode.from_tensor(value, static_shapes=True)
                if fake_mode and isinstance(value, torch.Tensor)
                else value
            )
        elif node.op == "call_function" and "val" not in node.meta:
            node.meta["val"] = _evaluate(node, fake_mode)


def is_free(size: int | torch.SymInt) -> bool:
    """Say whether `size` may differ from call to call."""
    return not isinstance(size, int) and bool(expression_of(size).free_symbols)


def _describe(value: Any, mode: Mode, stand_ins: StandIns) -> tuple[Any, Any]:
    if isinstance(value, torch.Tensor):
        return tuple(stand_ins.size(mode, size) for size in value.shape), value.dtype
    if isinstance(value, (tuple, list)) and any(isinstance(item, torch.Tensor) for item in value):
        parts = [_describe(item, mode, stand_ins) for item in value]
        return [shape if shape is not None else () for shape, _ in parts], [dtype for _, dtype in parts]
    return None, None


def _evaluate(node: fx.Node, fake_mode: FakeTensorMode | None) -> Any:
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda source: source.meta["val"])
    assert callable(node.target)
    if fake_mode is None:
        return node.target(*args, **kwargs)
    with fake_mode, torch.no_grad():
        return node.target(*args, **kwargs)


def _fetch(module: nn.Module, target: str) -> Any:
    value: Any = module
    for part in target.split("."):
        value = getattr(value, part)
    return value
