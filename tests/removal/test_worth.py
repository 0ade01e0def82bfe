"""Branches lose channels of their own only where that saves more than adding into some channels costs."""

import pytest
import torch
from torch import Tensor, nn

import scfx
from scfx.removal.worth import ADDING
from tests.graph.test_branches import places


class Branch(nn.Module):
    """A stream, one branch, and what reads their sum."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, width, 1), nn.Conv2d(width, 2, 1)
        self.branch = nn.Conv2d(width, width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y: Tensor = self.head(x + self.branch(x))
        return y


def without(width: int, kernel: int, gone: int) -> scfx.CompressedModule:
    """The first channels of the branch are zero."""
    net = scfx.compress(Branch(width, kernel), torch.randn(2, 1, 4, 4), quantize=False, branches=True)
    with torch.no_grad():
        net.get_parameter("branch.weight")[:gone] = 0
        net.get_parameter("branch.bias")[:gone] = 0
    return net


@pytest.mark.parametrize(("width", "kernel", "gone"), [(64, 3, 40), (64, 3, 20), (64, 3, 8), (64, 1, 60), (16, 3, 15)])
def test_multiplications_saved_are_weighed_against_elements_of_the_sum(width: int, kernel: int, gone: int) -> None:
    net = without(width, kernel, gone)
    pays = gone * width * kernel**2 >= ADDING * width
    assert bool(net.prune()) == pays
    assert net.get_parameter("branch.weight").shape[0] == width - gone * pays
    assert places(net) == [(width, None, list(range(gone, width)) if pays else None)]


def test_where_it_has_paid_once_more_costs_nothing() -> None:
    net = without(64, 3, 40)
    net.prune()
    with torch.no_grad():
        net.get_parameter("branch.weight")[:1] = 0
        net.get_parameter("branch.bias")[:1] = 0
    assert net.prune()
    assert net.get_parameter("branch.weight").shape[0] == 23


def test_what_is_dead_counts_as_gone_whether_it_pays_or_not() -> None:
    net = scfx.compress(Branch(16, 3), torch.randn(2, 1, 4, 4), branches=True)
    before = float(net.size().detach())
    with torch.no_grad():
        net.get_parameter("branch.weight_quantizer.bits")[:4] = 0
        net.get_parameter("branch.bias")[:4] = 0
    net.update(torch.optim.SGD(net.parameters(), lr=0.0))
    assert net.get_parameter("branch.weight").shape[0] == 16
    weights = 16 + 16 * 16 * 9 + 32
    assert float(net.size().detach()) == pytest.approx(before * (1 - 4 * 16 * 9 / weights))
    with torch.no_grad():
        net.get_parameter("branch.bias").add_(1)
    assert net.update(torch.optim.SGD(net.parameters(), lr=0.0)) is None
    assert not net.get_parameter("branch.bias")[:4].any()
