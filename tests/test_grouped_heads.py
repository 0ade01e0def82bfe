"""Query heads that share the heads of keys and values, as the fused operator has them, stay grouped and are exact."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import scfx
from tests.oracle import check_exact

QUERIES, KEYS, FEATURES = 6, 2, 5


class Grouped(nn.Module):
    """Six query heads of five features; three each share one of two heads of keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(4, 7), nn.Linear(7, 3)
        self.query, self.key, self.value = (nn.Linear(7, n * FEATURES) for n in (QUERIES, KEYS, KEYS))
        self.out = nn.Linear(QUERIES * FEATURES, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        q, k, v = (f(x).unflatten(-1, (-1, FEATURES)).transpose(1, 2) for f in (self.query, self.key, self.value))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        result: Tensor = self.head(x + self.out(y.transpose(1, 2).flatten(2)))
        return result


def sentences(batch: int, seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, 4 + seed % 3, 4, dtype=torch.double, generator=generator),)


def test_whole_groups_one_head_of_each_and_features_can_go() -> None:
    torch.manual_seed(0)
    graph = scfx.channel_graph(Grouped().double(), sentences(2, 0))
    assert not graph.report().troubles
    axes = {frozenset(m.name.split(".")[0] for m in a.members): a for a in graph.axes if a.pinned is None}
    everything = frozenset({"query", "key", "value", "out"})
    sizes = sorted(axis.size for axis in graph.axes if axis.pinned is None)
    assert sizes == sorted([KEYS, QUERIES // KEYS, FEATURES, FEATURES, 7])
    assert axes[everything].size == KEYS
    assert axes[frozenset({"query", "out"})].size == QUERIES // KEYS
    assert axes[frozenset({"query", "key"})].size == axes[frozenset({"value", "out"})].size == FEATURES


def test_shared_heads_are_exact() -> None:
    torch.manual_seed(0)
    assert check_exact(Grouped().double(), sentences).removed
