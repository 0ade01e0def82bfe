"""Computes once what is computed from parameters and buffers alone, now that these stay as they are."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload

from scfx.passes.base import Pass
from scfx.passes.building import fetch, free_name, hold_constant
from scfx.passes.effects import is_random, updated_statistics, written


@dataclass(frozen=True)
class EvaluateConstants(Pass):
    """Puts tensors in the place of what makes them of others, such as a weight of its direction and its length.

    That is done where it takes no more room: the new tensors have no more entries than those that nothing reads then.
    A new tensor is a parameter if one of these was, and in the state dict if one of them was.

    Attributes:
        keep: Names of parameters that are to stay, such as those that are stored as whole numbers.
    """

    keep: frozenset[str] = frozenset()

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        constant = _constant(graph, root, self.keep)
        stored = root.state_dict().keys()
        changes = 0
        for results, names in _together(constant):
            free = sum(fetch(root, name).numel() for name in names if _free(name, graph, constant))
            if all(map(_can_be_held, results)) and sum(map(_entries, results)) <= free:
                learned = any(isinstance(fetch(root, name), nn.Parameter) for name in names)
                for result in results:
                    _put(result, root, learned, not stored.isdisjoint(names))
                changes += len(results)
        for node in reversed(list(graph.nodes)):
            if node in constant and not node.users:
                graph.erase_node(node)
        return changes


def _constant(graph: fx.Graph, root: nn.Module, keep: frozenset[str]) -> dict[fx.Node, frozenset[str]]:
    """The nodes that make the same in every call, each with the names of all that it is made of."""
    changed = {str(each.target) for node in graph.nodes for each in (*written(node), *updated_statistics(node))}
    found: dict[fx.Node, frozenset[str]] = {}
    for node in graph.nodes:
        if node.op == "get_attr":
            held = fetch(root, str(node.target))
            if isinstance(held, Tensor) and str(node.target) not in keep | changed:
                found[node] = frozenset({str(node.target)})
        elif node.op == "call_function" and all(source in found for source in node.all_input_nodes):
            plain = isinstance(node.target, OpOverload) and not (written(node) or is_random(node))
            if plain or node.target is operator.getitem:
                found[node] = frozenset().union(*(found[source] for source in node.all_input_nodes))
    return found


def _together(constant: dict[fx.Node, frozenset[str]]) -> list[tuple[list[fx.Node], frozenset[str]]]:
    """What is computed and read by what isn't constant; together where it is made of the same tensors."""
    groups: list[tuple[list[fx.Node], frozenset[str]]] = []
    for node, names in constant.items():
        if node.op == "call_function" and any(user not in constant for user in node.users):
            near = [group for group in groups if group[1] & names]
            nodes = [each for group in near for each in group[0]]
            groups = [group for group in groups if group not in near]
            groups.append(([*nodes, node], names.union(*(group[1] for group in near))))
    return groups


def _free(name: str, graph: fx.Graph, constant: dict[fx.Node, frozenset[str]]) -> bool:
    """Whether only constants are made of a tensor."""
    return all(
        user in constant for node in graph.find_nodes(op="get_attr") if node.target == name for user in node.users
    )


def _run(node: fx.Node, root: nn.Module, known: dict[fx.Node, Any]) -> Any:
    if node.op == "get_attr":
        return fetch(root, str(node.target)).detach()
    for source in node.all_input_nodes:
        if source not in known:
            known[source] = _run(source, root, known)
    args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), known.__getitem__)
    with torch.no_grad():
        return cast("Callable[..., Any]", node.target)(*args, **kwargs)


def _can_be_held(node: fx.Node) -> bool:
    """Whether it is one tensor of a known size that isn't handed out to the caller, who may write to it."""
    return isinstance(node.meta.get("shape"), tuple) and not any(user.op == "output" for user in node.users)


def _entries(node: fx.Node) -> int:
    return math.prod(node.meta["shape"])


def _put(node: fx.Node, root: nn.Module, learned: bool, stored: bool) -> None:
    value = _run(node, root, {}).clone()
    if learned and value.is_floating_point():
        name = free_name(root, "computed_")
        root.register_parameter(name, nn.Parameter(value))
    elif stored:
        name = free_name(root, "computed_")
        root.register_buffer(name, value)
    else:
        name = hold_constant(root, value)
    with node.graph.inserting_before(node):
        made = node.graph.get_attr(name)
    made.meta.update({key: node.meta[key] for key in ("shape", "dtype") if key in node.meta})
    node.replace_all_uses_with(made)
