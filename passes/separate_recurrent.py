"""Take recurrent networks of several layers or directions apart, so that each has hidden channels of its own."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch._ops import OpOverload

from scfx.passes.base import Pass
from scfx.passes.building import arguments, emit, operators, picked

_aten = torch.ops.aten

_RECURRENT = (_aten.lstm.input, _aten.gru.input, _aten.rnn_tanh.input, _aten.rnn_relu.input)


@dataclass(frozen=True)
class SeparateRecurrent(Pass):
    """Replace a recurrent operator of several layers or directions by one for each layer and direction.

    One operator takes and returns the states of all of them in one tensor, and so has one number of channels for all.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Replace them and return how many there were."""
        changes = 0
        for node in operators(graph):
            if node.target in _RECURRENT and all(user.target is operator.getitem for user in node.users):
                bound = arguments(node)
                if bound["num_layers"] > 1 or bound["bidirectional"]:
                    with graph.inserting_before(node):
                        _replace(node, _layers(node, bound))
                    changes += 1
        return changes


def _replace(node: fx.Node, results: Sequence[fx.Node]) -> None:
    for user in list(node.users):
        user.replace_all_uses_with(results[picked(user)])
        node.graph.erase_node(user)
    node.graph.erase_node(node)


def _layers(node: fx.Node, bound: dict[str, Any]) -> list[fx.Node]:
    """The operator's results, made layer by layer: what the last layer puts out, and the last states of all."""
    x = bound["input"]
    several = isinstance(bound["hx"], (list, tuple))
    starts = list(bound["hx"]) if several else [bound["hx"]]
    directions = 2 if bound["bidirectional"] else 1
    count = bound["num_layers"] * directions
    each = len(bound["params"]) // count
    steps = 1 if bound["batch_first"] else 0
    last: list[list[fx.Node]] = []
    for layer in range(bound["num_layers"]):
        made = []
        for direction in range(directions):
            position = layer * directions + direction
            states = [_state(node, start, position) for start in starts]
            turned = emit(node, _aten.flip.default, x, [steps]) if direction else x
            result = emit(
                node, _operator(node), turned, states if several else states[0],
                list(bound["params"][position * each : (position + 1) * each]),
                bound["has_biases"], 1, 0.0, bound["train"], False, bound["batch_first"],
            )  # fmt: skip
            out, *ends = (emit(node, operator.getitem, result, index) for index in range(1 + len(starts)))
            made.append(emit(node, _aten.flip.default, out, [steps]) if direction else out)
            last.append(ends)
        x = emit(node, _aten.cat.default, made, 2) if directions == 2 else made[0]
        if bound["dropout"] and bound["train"] and layer < bound["num_layers"] - 1:
            x = emit(node, _aten.dropout.default, x, bound["dropout"], True)
    return [x, *(emit(node, _aten.cat.default, list(ends), 0) for ends in zip(*last, strict=True))]


def _operator(node: fx.Node) -> OpOverload:
    """The operator that a node calls."""
    assert isinstance(node.target, OpOverload)
    return node.target


def _state(node: fx.Node, start: fx.Node, position: int) -> fx.Node:
    """The first state of one layer and direction. Zeros are made anew, as each has a number of channels of its own."""
    if start.target is _aten.zeros.default:
        _, *rest = arguments(start)["size"]
        return emit(node, _aten.zeros.default, [1, *rest], **start.kwargs)
    return emit(node, _aten.slice.Tensor, start, 0, position, position + 1)
