"""An ONNX graph put in order: names that a person reads, and nothing of the machine that exported it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any


def name_values(graph: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Gives inputs and outputs these names; what else has one of them gets another."""
    import onnx_ir as ir

    before = list(graph.outputs)
    for index, output in enumerate(before):
        if output.is_graph_input() or output.is_initializer() or any(output is other for other in before[:index]):
            copied = ir.node("Identity", [output])
            copied.outputs[0].shape, copied.outputs[0].dtype = output.shape, output.dtype
            graph.append(copied)
            graph.outputs[index] = copied.outputs[0]
    outputs = [f"{name}_out" if name in inputs else name for name in outputs]
    wanted = dict(zip([*inputs, *outputs], [*graph.inputs, *graph.outputs], strict=True))
    for value in _values(graph):
        if value.name in wanted and wanted[value.name] is not value:
            value.name = f"inner.{value.name}"
    for name, value in wanted.items():
        value.name = name


def name_sizes(graph: Any) -> None:
    """Calls the free sizes `batch`, or by the input and its dimension that they are of, and not s77."""
    new: dict[str, str] = {}
    for value in graph.inputs:
        for dim, size in enumerate(value.shape):
            symbol = str(getattr(size, "value", ""))
            if symbol.isidentifier() and symbol not in new:
                free = "batch" if dim == 0 and "batch" not in new.values() else f"{value.name}_{dim}"
                new[symbol] = free
    for value in _values(graph):
        if value.shape is not None:
            sizes = [_renamed(size, new) for size in value.shape]
            value.shape = type(value.shape)(sizes)


def forget_origin(model: Any) -> None:
    """Drops what the exporter has noted at every node: lines of source, paths of the machine, torch's own names."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    model.graph.doc_string = None
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
    for value in _values(model.graph):
        value.metadata_props.clear()
        value.doc_string = None


def _renamed(size: Any, new: dict[str, str]) -> Any:
    text = getattr(size, "value", None)
    if not isinstance(text, str):
        return size
    return re.sub(r"[A-Za-z_]\w*", lambda found: new.get(found[0], found[0]), text)


def _values(graph: Any) -> Iterator[Any]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph.all_nodes():
        yield from node.outputs
