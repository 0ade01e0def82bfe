"""Obeys a prune plan in one graph: size arguments, counts and counted operators. It decides nothing."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

import scfx.nodes.counted
import scfx.nodes.lookups
from scfx.nodes.autocasting import like
from scfx.passes.base import Pass
from scfx.signatures.call import bind
from scfx.signatures.record import Replacement
from scfx.signatures.resizing import Scaled

assert scfx.nodes.counted.IMPLEMENTATIONS  # registers the counted operators
assert scfx.nodes.lookups.PLAIN  # and those that take the place of strided slices


@dataclass(frozen=True)
class Prune(Pass):
    """Rewrites the arguments that a plan says change, and the recorded shape of every node.

    A plan made for a graph holds for its copies too: nodes are meant by name, also within arguments.

    Attributes:
        edits: By node name, the arguments (and operator) that change.
        shapes: By node name, the new shape of what the node makes.
    """

    edits: Mapping[str, Replacement]
    shapes: Mapping[str, tuple[int, ...] | list[tuple[int, ...]]]

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        nodes = {node.name: node for node in graph.nodes}
        for node in list(graph.nodes):
            edit = self.edits.get(node.name)
            if edit is not None:
                _apply(graph, node, edit, nodes)
                changes += 1
            if node.name in self.shapes:
                node.meta["shape"] = self.shapes[node.name]
        return changes


def _apply(graph: fx.Graph, node: fx.Node, edit: Replacement, nodes: Mapping[str, fx.Node]) -> None:
    assert isinstance(node.target, torch._ops.OpOverload)
    arguments = {**bind(node.target, node.args, node.kwargs), **edit.arguments}
    if edit.target is not None:
        node.target = like(operator_named(edit.target), node.target)
    with graph.inserting_before(node):
        arguments = {name: _resolved(graph, value, nodes) for name, value in arguments.items()}
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    assert isinstance(node.target, torch._ops.OpOverload)
    for argument in node.target._schema.arguments:
        if argument.name not in arguments:
            continue
        value = arguments[argument.name]
        if argument.kwarg_only:
            if not (argument.has_default_value() and value == argument.default_value):
                kwargs[argument.name] = value
        else:
            args.append(value)
    node.args, node.kwargs = tuple(args), kwargs


def operator_named(name: str) -> torch._ops.OpOverload:
    """The operator with a qualified name such as "scfx.group_norm.default"."""
    found: Any = torch.ops
    for part in name.split("."):
        found = getattr(found, part)
    assert isinstance(found, torch._ops.OpOverload)
    return found


def _resolved(graph: fx.Graph, value: Any, nodes: Mapping[str, fx.Node]) -> Any:
    """Finds nodes by their names, and writes the arithmetic of scaled symbolic sizes into the graph."""
    if isinstance(value, list):
        return [_resolved(graph, item, nodes) for item in value]
    if isinstance(value, fx.Node):
        return nodes[value.name]
    if not isinstance(value, Scaled):
        return value
    value = Scaled(nodes[value.node.name], value.numerator, value.denominator)
    size = value.node.meta["value"]
    for function, number in ((operator.mul, value.numerator), (operator.floordiv, value.denominator)):
        if number != 1:
            size = function(size, number)
            made = graph.call_function(function, (value.node, number))
            made.meta.update(value=size, shape=None, dtype=None)
            value = Scaled(made, value.numerator, value.denominator)
    return value.node
