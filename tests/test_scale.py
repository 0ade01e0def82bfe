"""Models of billions of parameters are analysed from their shapes, without memory for a single one."""

from __future__ import annotations

import resource

import torch
from torch import nn
from torch.nn import functional as F

import scfx

WIDTH, HEADS, GROUPS, HIDDEN, VOCABULARY = 4096, 32, 8, 14336, 128256


class Layer(nn.Module):
    """A layer of a large language model: grouped heads, gated units."""

    def __init__(self) -> None:
        super().__init__()
        size = WIDTH // HEADS
        self.norm1, self.norm2 = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.q, self.o = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.k, self.v = (nn.Linear(WIDTH, GROUPS * size, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(WIDTH, HIDDEN, bias=False) for _ in range(2))
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        size = WIDTH // HEADS
        q, k, v = (part(y).unflatten(-1, (-1, size)).transpose(1, 2) for part in (self.q, self.k, self.v))
        k, v = (part.unsqueeze(2).expand(-1, -1, HEADS // GROUPS, -1, -1).flatten(1, 2) for part in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        y = self.norm2(x)
        result: torch.Tensor = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return result


def test_no_memory_is_taken_for_parameters_without_values() -> None:
    with torch.device("meta"):
        model = nn.Sequential(
            nn.Embedding(VOCABULARY, WIDTH), Layer(), Layer(), nn.Linear(WIDTH, VOCABULARY, bias=False)
        )
        ids = torch.zeros(1, 64, dtype=torch.long)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total > 1.4e9
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    graph = scfx.channel_graph(model, ids)
    report = graph.report()
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < total / 4, "not even a byte for each parameter"
    assert report.troubles == ()
    assert report.share > 0.6  # the vocabulary is most of the rest
    assert "were not compared" in str(report)
    sizes = {axis.size for axis in graph.axes if axis.pinned is None}
    assert {WIDTH, HIDDEN, GROUPS} <= sizes
