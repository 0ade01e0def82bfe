"""Weights that are computed, and numbers of every precision: prunable where that is exact, or pinned with a reason."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import scfx
from tests.oracle import check_exact

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def around(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), layer, nn.ReLU(), nn.Linear(8, 2))


class Mixed(nn.Module):
    """A layer in each of three precisions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 8).half(), nn.Linear(8, 8).bfloat16(), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x.half()).relu().bfloat16()
        result: torch.Tensor = self.third(self.second(y).relu().float())
        return result


def test_spectrally_normed_weights_lose_channels_exactly() -> None:
    torch.manual_seed(0)
    model = around(parametrizations.spectral_norm(nn.Linear(8, 8))).double()
    outcome = check_exact(model, (X.double(),), rounds=2)
    assert outcome.removed > 0


def test_normed_weights_lose_the_channels_of_scale_zero() -> None:
    """Scale and bias are zeroed, not the direction: the norm of a direction that is zero is a division by zero."""
    torch.manual_seed(0)
    model = around(parametrizations.weight_norm(nn.Linear(8, 8))).double().eval()
    with torch.no_grad():
        for name in ("2.parametrizations.weight.original0", "2.bias"):
            model.get_parameter(name)[3] = 0
    net = scfx.compress(model, X.double(), quantize=False).eval()
    net.prune()
    assert net.get_parameter("2.parametrizations.weight.original1").shape == (7, 8)
    assert net.get_parameter("4.weight").shape == (2, 7)
    assert torch.allclose(net(X.double()), model(X.double()), rtol=1e-10)


def test_orthogonal_weights_are_pinned_with_the_operator_to_blame() -> None:
    report = scfx.channel_graph(around(parametrizations.orthogonal(nn.Linear(8, 8))), X).report()
    assert any("aten." in group.reason for group in report.pins)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_each_precision_is_captured_as_it_is(dtype: torch.dtype) -> None:
    model = around(nn.Linear(8, 8)).to(dtype)
    net = scfx.compress(model, X.to(dtype), quantize=False).eval()
    assert {parameter.dtype for parameter in net.parameters()} == {dtype}
    assert torch.equal(net(X.to(dtype)), model.eval()(X.to(dtype)))
    assert {axis.size for axis in net.channels.axes if axis.pinned is None} == {8}


def test_precisions_may_be_mixed() -> None:
    model = Mixed().eval()
    net = scfx.compress(model, X, quantize=False).eval()
    assert [p.dtype for p in net.parameters()] == [p.dtype for p in model.parameters()]
    assert torch.equal(net(X), model(X))
