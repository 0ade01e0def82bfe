"""A graph as JSON, a node a line, and back: built node by node, from operators that are known. No code is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import fx

from scfx.errors import CheckpointError
from scfx.files import limits
from scfx.files.operators import REGION, name_of_operator, operator_named
from scfx.files.values import from_json, named, to_json
from scfx.signatures import creating
from scfx.signatures.call import bind

_CREATING = {target for record in creating.RECORDS for target in record.targets}

#: Arguments with which arithmetic on numbers would be something else.
_LONG = (str, list, tuple, dict)


def graph_to_json(graph: fx.Graph, is_graph: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    """Yields an object for each node.

    Args:
        graph: Of placeholders, attributes, calls of functions, and an output.
        is_graph: Whether an attribute is a graph itself, and no tensor.

    Raises:
        CheckpointError: There is something in it that a file can't hold.
    """
    for node in graph.nodes:
        if node.op == "placeholder":
            default = {"default": to_json(node.args[0])} if node.args else {}
            yield {"name": node.name, "input": str(node.target), **default, **_example_to_json(node)}
        elif node.op == "get_attr":
            yield {"name": node.name, "graph" if is_graph(str(node.target)) else "tensor": str(node.target)}
        elif node.op == "call_function":
            kwargs = {"kwargs": {name: to_json(value) for name, value in node.kwargs.items()}} if node.kwargs else {}
            args = [to_json(value) for value in node.args]
            yield {"name": node.name, "call": name_of_operator(node.target), "args": args, **kwargs}
        elif node.op == "output":
            yield {"output": to_json(node.args[0])}
        else:
            raise CheckpointError(f"the graph calls the module {node.target}: give what net.finalize() returns")


def graph_from_json(
    lines: Any, tensors: Mapping[str, Any], graphs: Mapping[str, Any], device: torch.device, size: int
) -> fx.Graph:
    """The opposite of `graph_to_json`.

    Args:
        lines: As they were read.
        tensors: Those that there are, by name.
        graphs: Those that it may hold, by name.
        device: Where what it makes is made.
        size: The bytes of the file, to which sizes are compared.

    Raises:
        CheckpointError: It is not what `graph_to_json` makes, or not a graph: a value is used before it is made, say.
    """
    graph = fx.Graph(tracer_cls=fx.Tracer)
    nodes: dict[str, fx.Node] = {}
    if not isinstance(lines, list) or not lines or not all(isinstance(line, dict) for line in lines):
        raise CheckpointError("it has no graph")
    for line in lines[:-1]:
        name = limits.identifier(line["name"], "a node")
        if name in nodes:
            raise CheckpointError(f"two nodes are named {name!r}")
        nodes[name] = _node(graph, line, name, nodes, (tensors, graphs, device, size))
    graph.output(from_json(lines[-1]["output"], nodes, device))
    return graph


def _node(graph: fx.Graph, line: Mapping[str, Any], name: str, nodes: Mapping[str, fx.Node], rest: Any) -> fx.Node:
    tensors, graphs, device, size = rest
    if "input" in line:
        default = (from_json(line["default"], {}, device),) if "default" in line else ()
        node = graph.create_node("placeholder", limits.identifier(line["input"], "an input"), default, name=name)
        if "example" in line:
            node.meta.update(_example_from_json(name, line["example"]))
        return node
    for kind, known in (("tensor", tensors), ("graph", graphs)):
        if kind in line:
            if not isinstance(line[kind], str) or line[kind] not in known:
                raise CheckpointError(f"{name} is the {kind} {str(line[kind])[:80]!r}, which isn't there")
            return graph.create_node("get_attr", line[kind], name=name)
    target = operator_named(line["call"])
    args, kwargs = line["args"], line.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise CheckpointError(f"{name} has no arguments")
    args = tuple(from_json(value, nodes, device) for value in args)
    kwargs = {key: from_json(value, nodes, device) for key, value in kwargs.items()}
    _check_call(name, line["call"], target, (args, kwargs), size)
    return graph.create_node("call_function", target, args, kwargs, name=name)


def _example_to_json(node: fx.Node) -> dict[str, Any]:
    """What an input was at capture."""
    if "example" not in node.meta or limits.entries(list(node.meta["example"])) > limits.ENTRIES:
        return {}
    shape, free = (list(node.meta[key]) for key in ("example", "free"))
    return {"example": {"shape": shape, "free": free, "dtype": str(node.meta["dtype"]).removeprefix("torch.")}}


def _example_from_json(name: str, example: Any) -> dict[str, Any]:
    """The opposite of `_example_to_json`."""
    shape, free, dtype = example["shape"], example["free"], named("dtype", example["dtype"])
    dims = isinstance(free, list) and all(type(dim) is int and 0 <= dim < len(shape) for dim in free)
    if limits.entries(shape) > limits.ENTRIES or not dims or dtype is None:
        raise CheckpointError(f"the input {name} can't have been {str(example)[:80]}")
    return {"example": tuple(shape), "free": tuple(free), "dtype": dtype[0]}


def _check_call(name: str, called: str, target: Any, given: tuple[tuple[Any, ...], dict[str, Any]], size: int) -> None:
    args, kwargs = given
    if not isinstance(target, torch._ops.OpOverload):
        handle = args[4] if called == REGION and len(args) > 4 else None
        region = isinstance(handle, fx.Node) and handle.op == "get_attr"
        if kwargs or (called == REGION) != region or any(isinstance(arg, _LONG) for arg in args if not region):
            raise CheckpointError(f"{name} calls {called} with arguments that it can't have")
        return
    schema = target._schema.arguments
    if len(args) > len(schema) or not set(kwargs) <= {argument.name for argument in schema}:
        raise CheckpointError(f"{name} calls {called} with arguments that it hasn't")
    sizes = bind(target, args, kwargs).get("size") if called in _CREATING else None
    if isinstance(sizes, list):
        limits.check_entries([limits.entries([each for each in sizes if type(each) is int])], size)
