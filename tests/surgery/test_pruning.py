"""`prune`: what it reports, what it leaves alone, and what it does when an optimizer does not fit."""

import copy

import numpy as np
import pytest
import torch

import scfx
from tests.toys import Residual, images, labels


def zeroed() -> scfx.CompressedModule:
    """A network with three dead channels in the inner axis of its first block."""
    net = scfx.compress(Residual().double(), images(2), quantize=False)
    with torch.no_grad():
        block = net.get_submodule("block1")
        block.get_parameter("conv1.weight")[:3] = 0
        block.get_parameter("bn1.bias")[:3] = 0
        block.get_parameter("bn1.weight")[:3] = 0
    return net


def step(net: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(images(8)), labels(8)).backward()
    optimizer.step()


def test_report_counts_channels_and_weights() -> None:
    net = zeroed()
    before = sum(p.numel() for p in net.parameters())
    report = net.prune()
    after = sum(p.numel() for p in net.parameters())
    assert (report.weights_before, report.weights_after) == (before, after)
    assert report.channels_before - report.channels_after == 3
    assert report.plan.channels == (("block1.conv1.weight[0]", 8, 5),)
    assert "block1.conv1.weight[0]: 8 -> 5" in str(report)
    assert np.array_equal(np.asarray(report.plan.kept["block1.conv2.weight"][1]), [3, 4, 5, 6, 7])
    assert not net.prune()


def test_parameters_stay_the_same_objects_and_the_optimizer_follows() -> None:
    net = zeroed()
    optimizer = torch.optim.Adam(net.parameters())
    names = {id(p): name for name, p in net.named_parameters()}
    with torch.no_grad():
        for p in net.parameters():
            p.grad = torch.zeros_like(p)
    optimizer.step()
    assert net.prune(optimizer)
    assert {id(p): name for name, p in net.named_parameters()} == names
    for p in net.parameters():
        assert optimizer.state[p]["exp_avg"].shape == p.shape
    step(net, optimizer)


def test_a_foreign_optimizer_changes_nothing() -> None:
    net = zeroed()
    state = copy.deepcopy(net.state_dict())
    code = net.graph_module.code
    foreign = torch.optim.SGD(Residual().parameters(), lr=0.1)
    with pytest.raises(scfx.OptimizerError, match="does not own"):
        net.prune(foreign)
    with pytest.raises(scfx.OptimizerError):
        net.prune("adam")  # type: ignore[arg-type]
    assert net.graph_module.code == code
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


class Sizes(torch.nn.Module):
    """A network with a number of channels written into its code, for (batch, 4) inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(4, 8, bias=False), torch.nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.last(self.first(x).view(-1, 8))
        return result


def test_code_of_the_other_mode_is_written_once_it_is_entered() -> None:
    x = torch.randn(3, 4)
    net = scfx.compress(Sizes(), x, quantize=False).train()
    with torch.no_grad():
        net.get_parameter("first.weight")[:3] = 0
    expected, code = net(x), net._graph_modules["eval"].code
    assert net.prune()
    assert torch.allclose(net(x), expected)
    assert net._graph_modules["eval"].code == code
    net.training = False  # as `eval()` of whatever holds the network does
    assert "5" in net.graph_module.code
    assert torch.allclose(net(x), expected)


def test_zero_weights_alone_are_a_constant_and_stay() -> None:
    net = scfx.compress(Residual().double(), images(2), quantize=False)
    with torch.no_grad():
        net.get_parameter("branch.weight")[0] = 0
        net.get_parameter("branch.bias")[0] = 0.5
    assert not net.prune()


def test_one_channel_of_a_dead_axis_stays() -> None:
    net = scfx.compress(Residual().double(), images(2), quantize=False)
    with torch.no_grad():
        net.get_parameter("branch.weight").zero_()
        net.get_parameter("branch.bias").zero_()
    expected = net.eval()(images(4))
    net.prune()
    assert net.get_parameter("branch.weight").shape[0] == 1
    torch.testing.assert_close(net(images(4)), expected, rtol=1e-12, atol=1e-12)


def test_channels_held_up_by_a_kept_zero_stay() -> None:
    """A zero in an entry that stays may train away: what stands on it alone must not go."""
    torch.manual_seed(0)
    first = torch.nn.Linear(4, 8)
    torch.nn.init.zeros_(first.weight)
    torch.nn.init.zeros_(first.bias)
    model = torch.nn.Sequential(first, torch.nn.Linear(8, 8, bias=False), torch.nn.Linear(8, 2)).double()
    net = scfx.compress(model, torch.randn(3, 4, dtype=torch.float64), quantize=False, keep="0.weight")
    assert not net.prune()
