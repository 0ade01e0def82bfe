"""Constants that layers take over: outputs stay, channels go, and what cannot be proved stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import scfx
from tests.comparison import TOLERANCE, relative_error
from tests.constant_networks import ABSORBED, STAYS, VECTORS, Change, dead, inputs, network, sequence


def outputs(net: scfx.CompressedModule, shape: tuple[int, ...]) -> list[Tensor]:
    """What the network gives in both modes for two batch sizes; its buffers stay as they are."""
    made = []
    for training in (True, False):
        for batch in (2, 5):
            kept = {name: buffer.clone() for name, buffer in net.named_buffers()}
            made.append(net.train(training)(inputs(shape, batch)).detach())
            for name, buffer in net.named_buffers():
                buffer.copy_(kept[name])
    return made


def require_same(actual: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(actual, expected, strict=True):
        assert relative_error(one, other) <= TOLERANCE


@pytest.mark.parametrize("case", ABSORBED.values(), ids=ABSORBED.keys())
def test_absorbed(case: tuple[Callable[[], nn.Module], tuple[int, ...], Change]) -> None:
    net, shape = network(case, quantize=False), case[1]
    expected = outputs(net, shape)
    assert not net.prune(), "only when asked to"
    report = net.prune(constants=True)
    assert report.channels_before - report.channels_after in (1, 2), "two channels, or a head"
    require_same(outputs(net, shape), expected)
    assert not net.prune(constants=True)


@pytest.mark.parametrize("case", STAYS.values(), ids=STAYS.keys())
def test_stays(case: tuple[Callable[[], nn.Module], tuple[int, ...], Change]) -> None:
    net = network(case, quantize=False)
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert not net.prune(constants=True)
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())


def test_reported() -> None:
    report = network(ABSORBED["activation"], quantize=False).prune(constants=True)
    (absorbed,) = report.plan.absorbed
    assert absorbed.bias == "2.bias"
    assert absorbed.amount.shape == (5,)
    assert "2.bias takes over a constant" in str(report)


def test_quantized() -> None:
    """The next layer's quantized weights are what the constants are multiplied with, and training goes on."""
    net = network((lambda: sequence(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 5)), VECTORS, lambda net: None), True)
    optimizer = torch.optim.Adam(net.param_groups())
    with torch.no_grad():
        net.get_parameter("0.weight_quantizer.bits")[:2] = 0
        net.get_parameter("2.weight_quantizer.bits").fill_(3)
    net.update(optimizer)
    expected = outputs(net, VECTORS)
    assert not net.prune(optimizer)
    assert net.prune(optimizer, constants=True)
    assert net.get_parameter("2.weight").shape == (5, 6)
    require_same(outputs(net, VECTORS), expected)
    net(inputs(VECTORS, 4)).square().mean().backward()
    optimizer.step()
    net.update(optimizer)


def test_one_after_the_other() -> None:
    """A layer of which every input is a constant makes constants itself, which the next one takes over."""
    build = lambda: sequence(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 4), nn.GELU(), nn.Linear(4, 3))  # noqa: E731

    def change(net: scfx.CompressedModule) -> None:
        dead("0.weight")(net)
        net.get_parameter("2.weight")[0, 2:] = 0

    net = network((build, VECTORS, change), quantize=False)
    expected = outputs(net, VECTORS)
    net.prune(constants=True)
    assert [net.get_parameter(f"{n}.weight").shape for n in (0, 2, 4)] == [(6, 6), (4, 6), (3, 4)]
    net.prune(constants=True)  # now the first row of the second layer is zero
    assert [net.get_parameter(f"{n}.weight").shape for n in (0, 2, 4)] == [(6, 6), (3, 6), (3, 3)]
    require_same(outputs(net, VECTORS), expected)


def test_a_graph_that_fails_on_random_numbers_is_said_to() -> None:
    class Table(nn.Module):
        """Reads entries at 2 x: random positions lie outside."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 5)
            self.table = nn.Parameter(torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.last(torch.cos(self.first(x))) + self.table[(2 * x[:, :1]).long().squeeze(1)].unsqueeze(1)
            return y

    torch.manual_seed(0)
    net = scfx.compress(Table().double(), torch.ones(3, 6, dtype=torch.float64), quantize=False)
    with torch.no_grad():
        dead("first.weight")(net)
    with pytest.warns(UserWarning, match="no constants are absorbed: the train graph fails on random inputs"):
        assert not net.prune(constants=True)


def test_nothing_is_known_without_values() -> None:
    net = scfx.compress(sequence(nn.Linear(6, 8), nn.Linear(8, 5)).to("meta"), torch.zeros(2, 6, device="meta"))
    assert not net.prune(constants=True)
