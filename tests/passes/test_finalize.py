"""The passes behind `finalize`: quantizers out, counted operators in plain torch."""

import torch
from torch import nn

import scfx
from scfx.passes.finalize import DropQuantizers, WriteOutCounted, WriteOutLookups
from tests.passes.test_insert_quantizers import calls


def test_quantizers_are_dropped() -> None:
    net = scfx.compress(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.randn(2, 4))
    graph = net.graph_module.graph
    assert sum("quantizer(" in call for call in calls(graph)) == 2
    assert DropQuantizers()(graph, net) == 2
    assert not any("quantizer" in call for call in calls(graph))
    assert DropQuantizers()(graph, net) == 0


def test_counted_operators_are_written_out() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.layer(x)).mean(1)

    net = scfx.compress(Mean(), torch.randn(2, 4), quantize=False).eval()
    with torch.no_grad():
        net.get_parameter("layer.weight")[0] = 0
        net.get_parameter("layer.bias")[0] = 0
    expected = net(torch.ones(2, 4))
    assert net.prune()
    graph = net.graph_module.graph
    assert sum("scfx.mean" in call for call in calls(graph)) == 1
    assert WriteOutCounted()(graph, net) == 1
    net.graph_module.recompile()
    assert "scfx" not in net.graph_module.code
    assert torch.equal(net(torch.ones(2, 4)), expected)


def test_lookups_get_their_indices_as_constants() -> None:
    class Strided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.other = nn.Linear(4, 6), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.layer(x)
            y[:, ::2] = self.other(x)
            result: torch.Tensor = y[:, 1::2].sum(1) + y.sum(1)
            return result

    net = scfx.compress(Strided(), torch.randn(2, 4), quantize=False).eval()
    with torch.no_grad():
        for name, row in (("layer", 1), ("other", 2)):
            net.get_parameter(f"{name}.weight")[row] = 0
            net.get_parameter(f"{name}.bias")[row] = 0
    expected = net(torch.ones(2, 4))
    assert net.prune()
    graph = net.graph_module.graph
    assert sum("scfx" in call for call in calls(graph)) == 2
    assert WriteOutLookups()(graph, net) == 2
    assert WriteOutLookups()(graph, net) == 0
    net.graph_module.recompile()
    assert "scfx" not in net.graph_module.code
    assert torch.allclose(net(torch.ones(2, 4)), expected, rtol=1e-6)
