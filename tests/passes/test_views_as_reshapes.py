"""What is regrouped does not depend on how it lies in memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

import scfx
from scfx.passes.views_as_reshapes import ViewsAsReshapes
from tests.passes.tools import captured, check, program


class Heads(nn.Module):
    """Attention whose heads are joined by a view: its result lies in memory as the view needs it, for now."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(16, 16) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        q, k, v = (layer(x).view(b, t, 2, 8).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = scaled_dot_product_attention(q, k, v).transpose(1, 2).contiguous().view(b, t, 16)
        result: Tensor = self.out(y)
        return result


def batch(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(size, 5, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(size)),)


def test_views() -> None:
    toy = check(Heads().double(), batch, [ViewsAsReshapes()], needs_grad=True)
    lines = program(toy.graph)
    assert not any("view.default" in line for line in lines)
    assert sum("reshape.default" in line for line in lines) == 4


def test_counts() -> None:
    toy = captured(Heads().double(), *batch(3))
    assert ViewsAsReshapes()(toy.graph, toy.root) == 4


def test_values_with_fewer_features_than_queries() -> None:
    model = Heads().double()
    with torch.no_grad():
        for features in (slice(1, 5), slice(9, 13)):  # four of each head
            model.v.weight[features] = 0
            model.v.bias[features] = 0
            model.out.weight[:, features] = 0
    net = scfx.compress(model, batch(2), quantize=False)
    net.prune()
    assert net.v.weight.shape == (8, 16)
    assert net.q.weight.shape == (16, 16)
    torch.testing.assert_close(net(*batch(3)), model(*batch(3)))
