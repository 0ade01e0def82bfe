"""Networks that put channels in another order, or take every n-th of them, can be pruned, and exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import scfx
from scfx.reporting.report import GraphReport
from tests.oracle import check_exact


class Rotary(nn.Module):
    """Attention with rotary embeddings, in halves (feature i with i + n / 2) or interleaved (2 i with 2 i + 1)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, interleaved: bool) -> None:
        super().__init__()
        self.interleaved = interleaved
        self.inner = nn.Linear(5, 16)
        self.q, self.k, self.v, self.out = (nn.Linear(16, 16, bias=False) for _ in range(4))
        self.head = nn.Linear(16, 3)
        angle = torch.arange(6)[:, None] / 50 ** (torch.arange(0, 8, 2) / 8)
        angle = angle.repeat_interleave(2, -1) if interleaved else torch.cat([angle, angle], -1)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def turned(self, x: Tensor) -> Tensor:
        if self.interleaved:
            other = torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2)
        else:
            first, second = x.chunk(2, -1)
            other = torch.cat((-second, first), -1)
        return x * self.cos + other * self.sin

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        q, k, v = (layer(x).unflatten(-1, (2, 8)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        made = functional.scaled_dot_product_attention(self.turned(q), self.turned(k), v, is_causal=True)
        result: Tensor = self.head(x + self.out(made.transpose(1, 2).flatten(2)))
        return result


class Strided(nn.Module):
    """Reads every second and third channel, and writes to every second one."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = nn.Linear(5, 12), nn.Linear(6, 8), nn.Linear(4, 8), nn.Linear(5, 4)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.a(x))
        z = torch.relu(self.b(y[:, ::2])) + torch.tanh(self.c(y[:, 1::3]))
        z[:, 1::2] = torch.tanh(self.d(x))
        result: Tensor = self.head(z)
        return result


class Turned(nn.Module):
    """Flips, rolls and permutes channels; a sum with its own mirror image makes pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.head, self.other = nn.Linear(8, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.b(torch.relu(self.a(x)).flip(1)))
        z = torch.tanh(self.c(y.roll(3, 1)))[:, [3, 1, 0, 2, 7, 6, 5, 4]]
        z, y = (z + z.flip(1)).mean((2, 3)), y.mean((2, 3))
        result: Tensor = self.head(z) + self.other(torch.index_select(y, 1, torch.tensor([6, 0, 3, 1])))
        return result


class Shuffled(nn.Module):
    """Blocks that work on half of the channels and shuffle both halves into each other."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.c, self.d = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1)
        self.b = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.a(x))
        for layer in (self.c, self.d, self.b):
            left, right = x.chunk(2, 1)
            x = torch.cat((left, torch.tanh(layer(right))), 1)
            b, c, h, w = x.shape
            x = x.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, c, h, w)
        result: Tensor = self.head(x.mean((2, 3)))
        return result


IMAGE, FLAT, TEXT = torch.Size((2, 3, 4, 4)), torch.Size((2, 5)), torch.Size((2, 6, 5))
#: For each network the outputs of some of its layers that can go together: how many sets there are of each size.
CASES: dict[str, tuple[Callable[[], nn.Module], torch.Size, dict[str, dict[int, int]]]] = {
    "halves": (lambda: Rotary(False), TEXT, {"inner": {1: 16}, "q": {4: 4, 8: 2}, "v": {2: 8, 8: 2}}),
    "interleaved": (lambda: Rotary(True), TEXT, {"inner": {1: 16}, "q": {4: 4, 8: 2}, "v": {2: 8, 8: 2}}),
    "strided": (Strided, FLAT, {"a": {1: 12}, "b": {1: 8}, "c": {1: 8}, "d": {1: 4}}),
    "turned": (Turned, IMAGE, {"a": {1: 8}, "b": {1: 8}, "c": {2: 4}}),
    "shuffled": (Shuffled, IMAGE, {"a": {1: 11}, "c": {1: 5}, "d": {1: 6}, "b": {1: 5}}),
}


def free_parts(graph: scfx.ChannelGraph, name: str) -> Counter[int]:
    """The sizes of the sets of outputs of a layer that can go together."""
    return Counter(
        len(member.indices(channel))
        for axis in graph.axes
        if axis.pinned is None
        for member in axis.members
        if (member.name, member.dim) == (f"{name}.weight", 0)
        for channel in range(axis.size)
    )


@pytest.mark.parametrize("name", CASES)
def test_what_can_go_together(name: str) -> None:
    build, shape, expected = CASES[name]
    graph = scfx.channel_graph(build(), torch.randn(shape))
    assert {layer: free_parts(graph, layer) for layer in expected} == expected
    reasons = {group.reason for group in GraphReport.of(graph, outputs=False).pins}
    assert reasons <= {"model input x", "model output", "convolution kernel"}


@pytest.mark.parametrize("name", CASES)
def test_pruning_is_exact(name: str) -> None:
    build, shape, _ = CASES[name]
    torch.manual_seed(1)
    example = torch.randn(shape, dtype=torch.float64)
    outcome = check_exact(build().double(), (example,), name=name, seed=1, thorough=False, everything_first=True)
    assert outcome.channels[-1] < outcome.channels[0]


def test_a_compact_network_is_plain_torch() -> None:
    net = scfx.compress(Strided().double(), torch.randn(FLAT, dtype=torch.float64), quantize=False)
    with torch.no_grad():
        for name, rows in (("a", [0, 3, 4]), ("b", [1, 2]), ("c", [2]), ("d", [1])):
            for part in ("weight", "bias"):
                net.get_parameter(f"{name}.{part}")[rows] = 0
    x = torch.randn(4, 5, dtype=torch.float64)
    expected = net.eval()(x)
    assert net.prune()
    compact = net.finalize()
    assert "scfx" not in compact.code
    torch.testing.assert_close(compact(x), expected)
