"""Gives layers that have no bias one. It decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn

from scfx.passes.base import Pass
from scfx.passes.building import free_name
from scfx.plan import Absorbed


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
            names = [argument.name for argument in node.target._schema.arguments]
            given = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
            if given.get(each.operand) is not None:
                continue
            with graph.inserting_before(node):
                given[each.operand] = _new_bias(graph, each, root, node.meta["dtype"])
            place = names.index(each.operand)
            node.args = node.args[:place]
            node.kwargs = {name: value for name, value in given.items() if names.index(name) >= place}
            changes += 1
        return changes


def _new_bias(graph: fx.Graph, absorbed: Absorbed, root: nn.Module, dtype: torch.dtype) -> fx.Node:
    path, _, attribute = absorbed.weight.rpartition(".")
    path = path if attribute == "weight" else ""
    owner = root.get_submodule(path)
    beside = attribute == "weight" and getattr(owner, "bias", None) is None
    name = "bias" if beside else free_name(owner, "bias_")
    values = torch.from_numpy(absorbed.amount).to(next(root.parameters()).device, dtype)
    owner.register_parameter(name, nn.Parameter(values))
    made = graph.get_attr(f"{path}.{name}" if path else name)
    made.meta.update(shape=tuple(values.shape), dtype=values.dtype)
    return made
