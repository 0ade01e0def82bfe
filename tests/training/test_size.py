"""The size in bits: what it counts, and that it flows back into bit depths."""

import pytest
import torch
from torch import nn

import scfx
from tests.toys import Residual, images


def test_starts_at_eight_bits_and_has_the_right_slope() -> None:
    net = scfx.compress(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.randn(5, 4))
    size = net.size()
    assert size.item() == 8.0
    size.backward()
    first, second = (quantizer.bits.grad for _, quantizer in net.quantizers())
    assert first is not None
    assert second is not None
    assert first.tolist() == torch.full((3,), 4 / 18).tolist()
    assert second.tolist() == torch.full((2,), 3 / 18).tolist()


def test_counts_weights_of_the_start_and_inputs_that_are_alive() -> None:
    net = scfx.compress(nn.Sequential(nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 2)), torch.randn(5, 4))
    optimizer = torch.optim.SGD(net.param_groups(), lr=0.0)
    with torch.no_grad():
        net.get_parameter("0.weight_quantizer.bits")[0] = 0
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    net.update(optimizer)
    alive = (2 * 4 * 8 + 2 * 2 * 8) / 18
    assert net.size().item() == pytest.approx(alive)
    net.prune(optimizer)
    assert net.get_parameter("0.weight").shape == (2, 4)
    assert net.size().item() == pytest.approx(alive)


def test_kernels_and_groups_count() -> None:
    net = scfx.compress(nn.Conv2d(4, 8, 3, groups=2), torch.randn(2, 4, 5, 5))
    with torch.no_grad():
        net.get_parameter("weight_quantizer.bits").copy_(torch.arange(8.0))
    assert net.size().item() == sum(range(8)) * 2 * 9 / (8 * 2 * 9)


def test_outputs_that_are_taken_apart_or_are_inputs_too_count_once() -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.same, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            x = x + torch.relu(self.same(x))
            left, right = x.chunk(2, 1)
            result: torch.Tensor = self.last(torch.cat([left, right], 1))
            return result

    net = scfx.compress(Halves(), torch.randn(5, 6))
    assert net.size().item() == 8.0
    with torch.no_grad():
        net.get_parameter("first.weight_quantizer.bits").zero_()
    assert net.size().item() == pytest.approx(8 * (64 + 24) / (48 + 64 + 24))


def test_without_quantizers_a_weight_counts_its_own_bits() -> None:
    net = scfx.compress(Residual().double(), images(2), quantize=False)
    assert net.size().item() == 64.0
