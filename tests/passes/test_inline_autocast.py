"""Regions that switch autocast off are inlined where that is no difference, and left alone where it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scfx.passes.inline_autocast import InlineAutocast
from tests.passes.tools import captured, check, program


class Rotary(nn.Module):
    """Angles as rotary embeddings compute them: an outer product in full precision."""

    frequency: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequency", torch.linspace(0.1, 1, 4, dtype=torch.float64), persistent=False)

    def forward(self, positions: Tensor) -> Any:
        with torch.autocast("cpu", enabled=False):
            columns = self.frequency[None, :, None].expand(positions.shape[0], -1, 1)
            angles = (columns @ positions[:, None, :].to(torch.float64)).transpose(1, 2)
            return angles.cos()


class Head(nn.Module):
    def __init__(self, enabled: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.enabled = enabled

    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.enabled):
            return self.linear(x) + 1


def test_rotary_angles() -> None:
    toy = check(Rotary(), lambda size: (torch.arange(size * 3.0).view(size, 3),), [InlineAutocast()])
    assert [line.split(" = ")[-1].split(".")[0] for line in program(toy.graph)][-4:] == [
        "mul",
        "transpose",
        "cos",
        "return [cos_1]",
    ]


def test_counts_and_precision_under_autocast() -> None:
    toy = captured(Rotary(), torch.arange(6.0).view(2, 3))
    assert InlineAutocast()(toy.graph, toy.root) == 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (angles,) = toy.call(torch.arange(6.0).view(2, 3))
        assert torch.equal(angles, Rotary()(torch.arange(6.0).view(2, 3)))


def test_regions_that_matter_stay() -> None:
    for enabled in (True, False):
        toy = captured(Head(enabled), torch.randn(3, 4))
        before = program(toy.graph)
        assert InlineAutocast()(toy.graph, toy.root) == 0
        assert program(toy.graph) == before
        assert any(node.target is torch.ops.higher_order.wrap_with_autocast for node in toy.graph.nodes)
