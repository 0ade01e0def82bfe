"""Gives layers that have no bias one. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from scfx.capture.program import Mode
from scfx.passes.base import Pass
from scfx.passes.building import free_name
from scfx.signatures.call import bind


@dataclass(frozen=True)
class Absorbed:
    """A constant that channels which go have added to a layer, and that its bias adds from now on.

    Attributes:
        nodes: The layer's node in each graph that matters.
        weight: The parameter behind its weight, or the weight's node.
        operand: The name of the operand that is its bias.
        bias: Its bias by state-dict name; None if it has to get one.
        amount: What is added to each output that stays.
    """

    nodes: Mapping[Mode, str]
    weight: str
    operand: str
    bias: str | None
    amount: NDArray[np.float64]


@dataclass(frozen=True)
class AddBiases(Pass):
    """Makes a parameter of each amount of a plan and hands it to its layer, in the eval graph.

    It is the `bias` beside the layer's weight where that name is free.

    Attributes:
        absorbed: What is added in which layers.
    """

    absorbed: tuple[Absorbed, ...]

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        nodes = {node.name: node for node in graph.nodes}
        changes = 0
        for each in self.absorbed:
            node = nodes[each.nodes["eval"]]
            assert isinstance(node.target, torch._ops.OpOverload)
            if bind(node.target, node.args, node.kwargs)[each.operand] is not None:
                continue
            values = torch.from_numpy(each.amount).to(next(root.parameters()).device, node.meta["dtype"])
            give_bias(node, each.operand, each.weight, values, root)
            changes += 1
        return changes


def give_bias(node: fx.Node, operand: str, weight: str, values: Tensor, root: nn.Module) -> None:
    """Makes a parameter that is a layer's bias from now on.

    It is the `bias` beside the layer's weight where that name is free.

    Args:
        node: The layer.
        operand: The name of the operand that is its bias.
        weight: The parameter behind its weight, or the weight's node.
        values: (outputs).
        root: Where parameters are.
    """
    assert isinstance(node.target, torch._ops.OpOverload)
    names = [argument.name for argument in node.target._schema.arguments]
    given = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    path, _, attribute = weight.rpartition(".")
    path = path if attribute == "weight" else ""
    owner = root.get_submodule(path)
    beside = attribute == "weight" and getattr(owner, "bias", None) is None
    name = "bias" if beside else free_name(owner, "bias_")
    owner.register_parameter(name, nn.Parameter(values))
    with node.graph.inserting_before(node):
        made = node.graph.get_attr(f"{path}.{name}" if path else name)
    made.meta.update(shape=tuple(values.shape), dtype=values.dtype)
    given[operand] = made
    place = names.index(operand)
    node.args = node.args[:place]
    node.kwargs = {name: value for name, value in given.items() if names.index(name) >= place}
