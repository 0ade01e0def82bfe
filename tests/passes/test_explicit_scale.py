"""Attention keeps the scale it was built with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from scfx.passes.explicit_scale import ExplicitScale
from tests.passes.tools import captured, check, program


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return scaled_dot_product_attention(x, x, x) + scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.3)


def batch(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(size, 2, 5, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(size)),)


def test_scale() -> None:
    toy = check(Attention(), batch, [ExplicitScale()], needs_grad=True)
    assert [line.split(" = ")[1] for line in program(toy.graph)[:2]] == [
        "scaled_dot_product_attention.default(x, x, x, scale=0.25)",
        "scaled_dot_product_attention.default(x, x, x, None, 0.0, True, scale=0.3)",
    ]


def test_counts() -> None:
    toy = captured(Attention(), *batch(3))
    assert ExplicitScale()(toy.graph, toy.root) == 1
