"""Layers get biases, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scfx.passes.add_biases import Absorbed, AddBiases
from tests.passes.tools import captured, program


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.layer = nn.Conv2d(3, 4, 1, bias=False), nn.Linear(4, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(self.conv(x).mean((2, 3)))
        return y


def absorbed(node: str, weight: str, outputs: int) -> Absorbed:
    return Absorbed({"eval": node}, weight, "bias", None, np.arange(1, outputs + 1, dtype=np.float64))


@pytest.mark.parametrize(("weight", "name"), [("layer.weight", "layer.bias"), ("mul", "bias_0")])
def test_printed_program(weight: str, name: str) -> None:
    """The new parameter is the layer's own where its weight is, and one of the root where that is computed."""
    toy = captured(Layers(), torch.ones(2, 3, 5, 5), train=False)
    for node in toy.graph.nodes:
        node.meta["dtype"] = torch.float32
    x = torch.randn(2, 3, 5, 5)
    before = toy.root(x)
    step = AddBiases((absorbed("conv2d", "conv.weight", 4), absorbed("linear", weight, 2)))
    assert step(toy.graph, toy.root) == 2
    assert step(toy.graph, toy.root) == 0
    assert program(toy.graph) == [
        "conv2d = conv2d.default(x, conv.weight, bias=conv.bias)",
        "mean = mean.dim(conv2d, [2, 3])",
        f"linear = linear.default(mean, layer.weight, bias={name})",
        "return [linear]",
    ]
    (after,) = toy.call(x)
    expected = before + toy.root.get_parameter("layer.weight") @ torch.arange(1.0, 5) + torch.arange(1.0, 3)
    torch.testing.assert_close(after, expected)
    assert all(isinstance(parameter, nn.Parameter) for parameter in toy.root.parameters())
