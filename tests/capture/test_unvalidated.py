"""Models with probability distributions in them, as in reinforcement learning."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

import scfx
from tests.oracle import check_exact


class Policy(nn.Module):
    """The logarithm of a density, around a learned mean."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4))
        self.log_deviation = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor, action: Tensor) -> Tensor:
        normal = Normal(self.mean(x), self.log_deviation.exp().expand(x.shape[0], -1))
        density: Tensor = normal.log_prob(action).sum(-1)
        return density


def inputs(batch: int, seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, size, dtype=torch.float64, generator=generator) for size in (6, 4))


@pytest.fixture(autouse=True)
def _checks_are_on() -> Iterator[None]:
    """torch.compile takes them off for good, and whether a test before these has used it is chance."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(True)
    yield
    Distribution.set_default_validate_args(before)


def test_a_distribution_is_captured_without_its_checks() -> None:
    check_exact(Policy().double(), inputs)
    assert Distribution._validate_args
    with pytest.raises(ValueError, match="constraint"):
        Normal(0.0, -1.0)


def test_the_checks_come_back_after_a_failure() -> None:
    class Broken(Policy):
        def forward(self, x: Tensor, action: Tensor) -> Tensor:
            return x * 2 if bool(x.sum() > 0) else super().forward(x, action)

    with pytest.raises(scfx.CaptureError):
        scfx.channel_graph(Broken().double(), inputs(2, 0))
    assert Distribution._validate_args
