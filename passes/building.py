"""Reading and writing nodes: arguments by name, new nodes that carry a fake value, sizes, what `get_attr` fetches."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import fx, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils import _pytree as pytree

#: Buffers with these prefixes are constants from the code of the model, not state that the user knows by name.
CONSTANT_PREFIXES = ("_lifted_", "_constant_")

#: The key of `node.meta` that says how autocast was set in the region that a node is from.
AUTOCAST = "autocast"

#: Where a node came from. A node that stands in for another one says the same.
_ORIGIN = ("nn_module_stack", "stack_trace", "torch_fn", "source_fn_stack", "custom", "grad_disabled", AUTOCAST)


def value(node: fx.Node) -> Any:
    """Return the fake value recorded for `node`, None if there is none."""
    return node.meta.get("val")


def is_tensor(node: object) -> bool:
    """Say whether `node` is a node whose value is one tensor."""
    return isinstance(node, fx.Node) and isinstance(value(node), torch.Tensor)


def arguments(node: fx.Node) -> dict[str, Any]:
    """Return the arguments of an operator node by the names its schema gives them, defaults filled in."""
    assert isinstance(node.target, OpOverload), node.target
    bound: dict[str, Any] = {}
    for position, argument in enumerate(node.target._schema.arguments):
        if not argument.kwarg_only and position < len(node.args):
            bound[argument.name] = node.args[position]
        elif argument.name in node.kwargs:
            bound[argument.name] = node.kwargs[argument.name]
        elif argument.has_default_value():
            bound[argument.name] = argument.default_value
    return bound


def operators(graph: fx.Graph) -> Iterator[fx.Node]:
    """Yield the nodes that call an operator, from a snapshot: the caller may edit the graph on the way."""
    for node in list(graph.nodes):
        if node.op == "call_function" and isinstance(node.target, OpOverload):
            yield node


def picked(node: fx.Node) -> int:
    """Which of several results a `getitem` takes."""
    index = node.args[1]
    assert isinstance(index, int)
    return index


def emit(like: fx.Node, target: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Node:
    """Insert a call of `target` at the graph's insertion point, with a fake value and the origin of `like`."""
    node = like.graph.call_function(target, args, kwargs)
    node.meta.update({key: like.meta[key] for key in _ORIGIN if key in like.meta})
    node.meta["val"] = fake_result(node, like)
    return node


def fake_result(node: fx.Node, like: fx.Node) -> Any:
    """Run the operator of `node` on the fake values of its arguments and return the result."""
    target = cast("Callable[..., Any]", node.target)
    args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), value)
    mode = fake_mode((args, kwargs)) or _mode_of_graph(like.graph)
    # Without the dispatcher, torch's own lstm looks at sizes, which symbols don't have, to choose a kernel for float32.
    with mode or contextlib.nullcontext(), torch.no_grad(), enable_python_dispatcher():
        return target(*args, **kwargs)


def fake_mode(values: Any) -> FakeTensorMode | None:
    """Return the fake mode of the first fake tensor among `values`."""
    for leaf in pytree.tree_leaves(values):
        if isinstance(leaf, FakeTensor):
            return leaf.fake_mode
    return None


def _mode_of_graph(graph: fx.Graph) -> FakeTensorMode | None:
    return fake_mode([value(node) for node in graph.nodes])


def replace(node: fx.Node, by: fx.Node) -> None:
    """Let `by` take the place and, where it can, the name of `node`."""
    node.replace_all_uses_with(by)
    node.graph.erase_node(node)


def is_static(tensor: torch.Tensor) -> bool:
    """Say whether every size of a fake tensor is a plain number."""
    return all(isinstance(size, int) for size in tensor.shape)


def size_nodes(like: fx.Node, of: fx.Node) -> list[Any]:
    """Return the sizes of tensor node `of`: ints, and nodes, inserted here, that read a symbolic size."""
    return [
        size if isinstance(size, int) else emit(like, torch.ops.aten.sym_size.int, of, dim)
        for dim, size in enumerate(value(of).shape)
    ]


def add_sizes(like: fx.Node, left: Any, right: Any) -> Any:
    """Return the sum of two sizes that may be nodes."""
    return left + right if isinstance(left, int) and isinstance(right, int) else emit(like, operator.add, left, right)


def fetch(root: nn.Module, target: str) -> Any:
    """Return what a `get_attr` node with this target fetches."""
    found: Any = root
    for part in target.split("."):
        found = getattr(found, part)
    return found


def device_of(root: nn.Module) -> torch.device:
    """Return where the tensors of a model are."""
    tensors = (*root.parameters(), *root.buffers())
    return tensors[0].device if tensors else torch.device("cpu")


def free_name(root: nn.Module, stem: str) -> str:
    """Return the first of stem0, stem1, ... that `root` has no attribute for."""
    number = 0
    while hasattr(root, f"{stem}{number}"):
        number += 1
    return f"{stem}{number}"


def hold_constant(root: nn.Module, tensor: torch.Tensor) -> str:
    """Register `tensor` on `root` as a constant that its state dict leaves out, and return the name of the buffer."""
    name = free_name(root, "_constant_")
    root.register_buffer(name, tensor, persistent=False)
    return name


def source_line(node: fx.Node) -> str:
    """Say where in the user's model `node` comes from, as far as that is known, for messages."""
    modules: Mapping[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    path = [path for path, _ in modules.values() if path]
    module = f" in module {path[-1]!r}" if path else ""
    trace = [line.strip() for line in str(node.meta.get("stack_trace") or "").splitlines() if line.strip()]
    return f"node {node.name!r}{module}" + (f", at: {' '.join(trace[-2:])}" if trace else "")
