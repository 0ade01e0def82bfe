"""Copy the graph of a region (a GraphModule that a higher-order operator calls) to where it is called."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx, nn

from scfx.passes.building import fetch, free_name, hold_constant


def inline_call(
    call: fx.Node,
    region: fx.GraphModule,
    args: Sequence[Any],
    root: nn.Module,
    visit: Callable[[fx.Node], None] = lambda node: None,
) -> None:
    """Replace `call`, a call of `region` on `args`, by the nodes of `region`, and show each of them to `visit`.

    What the region holds itself, tensors and regions within, moves to `root`. The region leaves `root` unless another
    node of the graph fetches it.
    """
    graph = call.graph
    env: dict[fx.Node, Any] = {}
    incoming = iter(args)
    with graph.inserting_before(call):
        for inner in region.graph.nodes:
            if inner.op == "placeholder":
                env[inner] = next(incoming)
            elif inner.op == "output":
                _connect(call, fx.map_arg(inner.args[0], env.__getitem__))
            else:
                env[inner] = copied = graph.node_copy(inner, env.__getitem__)
                if inner.op == "get_attr":
                    copied.target = _adopt(root, fetch(region, str(inner.target)))
                else:
                    visit(copied)
    handles = [
        node for node in call.all_input_nodes if node.op == "get_attr" and fetch(root, str(node.target)) is region
    ]
    graph.erase_node(call)
    for handle in handles:
        if not handle.users:
            graph.erase_node(handle)
            _forget(graph, root, str(handle.target))


def _connect(call: fx.Node, results: Any) -> None:
    outputs = results if isinstance(results, (tuple, list)) else (results,)
    for user in list(call.users):
        index = user.args[1]
        assert user.target is operator.getitem, f"{user.name} uses the tuple {call.name} whole"
        assert isinstance(index, int)
        user.replace_all_uses_with(outputs[index])
        user.graph.erase_node(user)


def _adopt(root: nn.Module, held: Any) -> str:
    if isinstance(held, torch.Tensor):
        return hold_constant(root, held.detach())
    name = free_name(root, "_region_")
    root.add_module(name, held)
    return name


def _forget(graph: fx.Graph, root: nn.Module, name: str) -> None:
    if name in root._modules and not graph.find_nodes(op="get_attr", target=name):
        del root._modules[name]
