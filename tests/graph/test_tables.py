"""Layers that read one table keep channels of their own."""

import pytest
import torch
from torch import Tensor, nn

import scfx
from scfx.nodes.lookups import PART
from tests.oracle import check_exact


class Attention(nn.Module):
    """Two heads of four features, with rotary positions or with slopes of positions (ALiBi), both from tables."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, slopes: Tensor) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (2, 4)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        q, k = (y * cos + torch.cat([-y[..., 2:], y[..., :2]], -1) * sin for y in (q, k))
        y = torch.softmax(q @ k.transpose(2, 3) / 2 + slopes, -1) @ v
        out: Tensor = self.o(y.transpose(1, 2).flatten(2))
        return out


class Layers(nn.Module):
    """Layers that share angles and slopes, which are computed from the length of the sequence."""

    frequencies: Tensor
    slope: Tensor

    def __init__(self, depth: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Attention() for _ in range(depth)])
        self.register_buffer("frequencies", torch.tensor([1.0, 0.3]))
        self.register_buffer("slope", torch.tensor([0.5, 0.25]))

    def forward(self, x: Tensor) -> Tensor:
        place = torch.arange(x.shape[1], dtype=x.dtype, device=x.device)
        angles = torch.cat([place[:, None] * self.frequencies] * 2, -1)
        slopes = self.slope[:, None, None] * place
        for layer in self.layers:
            x = x + layer(x, angles.cos(), angles.sin(), slopes)
        return x


class Frozen(nn.Module):
    """Two batch norms of buffers alone, computed by hand: a table for one reader each."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])
        for name in ("scale", "shift", "mean", "variance"):
            self.register_buffer(name, torch.rand(2, 4) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        for n, layer in enumerate(self.layers):
            factor = self.get_buffer("scale")[n] * (self.get_buffer("variance")[n] + 1e-5).rsqrt()
            x = x + layer(x) * factor + self.get_buffer("shift")[n] - self.get_buffer("mean")[n] * factor
        return x


def words(count: int, seed: int = 0) -> tuple[Tensor]:
    return (torch.randn(count, 5, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64),)


def axes_of(graph: scfx.ChannelGraph, name: str) -> set[int]:
    return {id(axis) for axis in graph.axes for member in axis.members if member.name == name and member.dim == 0}


def parts(net: scfx.CompressedModule) -> int:
    return sum(node.target is PART for node in net.graph_module.graph.nodes)


def compressed(dynamic: bool) -> scfx.CompressedModule:
    torch.manual_seed(0)
    return scfx.compress(Layers().double(), words(2), quantize=False, dynamic=dynamic).eval()


def test_no_axis_runs_through_two_layers() -> None:
    net = compressed(dynamic=False)
    first, second = (axes_of(net.channels, f"layers.{n}.q.weight") for n in range(2))
    assert len(first) == len(second) == 2  # heads, and pairs of features
    assert not first & second
    assert axes_of(net.channels, "layers.0.k.weight") == first
    assert parts(net) == 6  # cosines, sines and slopes of each layer; its queries and keys read them together


def test_one_layer_loses_pairs_and_heads_of_its_own() -> None:
    net = compressed(dynamic=True)
    with torch.no_grad():
        for name in ("q", "k"):  # the pair (0, 2) of both heads
            for kind in ("weight", "bias"):
                net.get_parameter(f"layers.0.{name}.{kind}").view(2, 4, -1)[:, [0, 2]] = 0
        net.get_parameter("layers.1.o.weight").view(8, 2, 4)[:, 1] = 0  # what reads the second head
    before = net(*words(3, 1))
    assert net.prune()
    shapes = {
        f"{n}.{name}": tuple(net.get_parameter(f"layers.{n}.{name}.weight").shape) for n in (0, 1) for name in "qv"
    }
    assert shapes == {"0.q": (4, 8), "0.v": (8, 8), "1.q": (4, 8), "1.v": (4, 8)}
    assert net.get_buffer("frequencies").shape == net.get_buffer("slope").shape == (2,)
    torch.testing.assert_close(net(*words(3, 1)), before, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(net.finalize()(*words(3, 1)), before, rtol=1e-10, atol=1e-12)


def test_pruning_is_exact_and_channels_go_twice() -> None:
    torch.manual_seed(0)
    assert check_exact(Layers().double(), words, rounds=2).removed > 0


@pytest.mark.parametrize("model", [Layers(depth=1), Frozen()], ids=["one layer", "each its own"])
def test_a_table_that_is_not_shared_is_read_as_it_is(model: nn.Module) -> None:
    x = torch.randn(2, 5, 8) if isinstance(model, Layers) else torch.randn(2, 4)
    net = scfx.compress(model, x, quantize=False, dynamic=False)
    assert parts(net) == 0
