"""Training: the time of removal leaves no trace in the weights; blockers are let go; dead channels stay dead."""

import copy
from collections.abc import Callable

import pytest
import torch

import scfx
from tests.loop import learn, step, train
from tests.toys import Residual, images

Make = Callable[[list[dict[str, object]]], torch.optim.Optimizer]


OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda groups: torch.optim.SGD(groups, momentum=0.9),
    "adam": torch.optim.Adam,
}


@pytest.mark.parametrize(("kind", "every"), [("sgd", 7), ("adam", 10)])
def test_the_time_of_removal_does_not_matter(kind: str, every: int) -> None:
    torch.manual_seed(0)
    model = Residual().double()
    rate = {"sgd": 50.0, "adam": 0.5}[kind]
    nets = []
    for prune_every in (every, None):
        net = scfx.compress(model, images(2))
        net.prune_every = None
        optimizer = OPTIMIZERS[kind](net.param_groups(lr=1e-3, quantizer_lr=rate))
        if kind == "sgd":  # only depths are to move fast: their gradient by the size is tiny, exponents' is not
            optimizer = torch.optim.SGD(
                [
                    {"params": [p for n, p in net.named_parameters() if n.endswith(".bits")], "lr": rate},
                    {"params": [p for n, p in net.named_parameters() if not n.endswith(".bits")], "lr": 1e-3},
                ],
                momentum=0.9,
            )
        sizes = train(net, optimizer, 40, 4.0, prune_every)
        assert sizes[-1] < 0.5 * sizes[0]
        nets.append(net)
    now, late = (net.state_dict() for net in nets)
    assert {n: t.shape for n, t in now.items()} == {n: t.shape for n, t in late.items()}
    assert sum(p.numel() for p in nets[0].parameters()) < 0.8 * sum(p.numel() for p in model.parameters())
    for name, tensor in now.items():
        torch.testing.assert_close(tensor, late[name], rtol=1e-8, atol=1e-8, msg=name)


def test_blockers_shrink_to_zero_and_the_channel_goes() -> None:
    net = scfx.compress(Residual().double(), images(2))
    optimizer = torch.optim.Adam(net.param_groups(lr=1e-2))
    with torch.no_grad():
        net.get_parameter("block1.bn1.bias").fill_(0.2)
        net.get_parameter("block1.conv1.weight_quantizer.bits")[:4] = 0
    for number in range(40):
        step(net, optimizer, number)
        if number == 0:
            report = net.prune(optimizer)
            assert report.blocked == 4
            assert report.blockers == {"block1.bn1.bias": 4}
            assert "block1.bn1.bias: 4 entries" in str(report)
    net.prune(optimizer)
    assert net.get_parameter("block1.conv1.weight").shape[0] == 4


def test_a_living_shortcut_is_no_blocker() -> None:
    net = scfx.compress(Residual().double(), images(2))
    optimizer = torch.optim.Adam(net.param_groups())
    with torch.no_grad():
        net.get_parameter("block2.conv2.weight_quantizer.bits")[:4] = 0
    net.train()(images(8)).sum().backward()
    optimizer.step()
    net.update(optimizer)
    assert net.prune(optimizer).blocked == 0


def test_updates_remove_channels_by_themselves() -> None:
    net = scfx.compress(Residual().double(), images(2))
    net.prune_every = 5
    optimizer = torch.optim.Adam(net.param_groups())
    reports = []
    for number in range(40):
        report = step(net, optimizer, number, gamma=1.0)
        if report is not None:
            assert (number + 1) % 5 == 0
            reports.append(report)
    assert reports


def test_depths_never_go_below_zero_and_dead_channels_stay() -> None:
    net = scfx.compress(Residual().double(), images(2))
    net.prune_every = None
    optimizer = torch.optim.Adam(net.param_groups(quantizer_lr=5.0))
    dead: dict[str, torch.Tensor] = {}
    for number in range(30):
        step(net, optimizer, number, gamma=1.0)
        for path, quantizer in net.quantizers():
            assert bool((quantizer.bits >= 0).all())
            assert bool(quantizer.dead[dead[path]].all()) if path in dead else True
            dead[path] = quantizer.dead.clone()
    assert any(bool(mask.any()) for mask in dead.values())


def test_an_optimizer_of_another_module_is_refused_untouched() -> None:
    net = scfx.compress(Residual().double(), images(2))
    with torch.no_grad():
        net.get_parameter("block1.conv1.weight_quantizer.bits")[0] = -1
    state = copy.deepcopy(net.state_dict())
    with pytest.raises(scfx.OptimizerError, match="does not own"):
        net.update(torch.optim.SGD(Residual().parameters(), lr=0.1))
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


def test_clipping_the_gradient_norm_does_not_see_what_is_to_go() -> None:
    torch.manual_seed(0)
    model = Residual().double()
    results = []
    for prune_every in (5, None):
        net = scfx.compress(model, images(2))
        net.prune_every = None
        optimizer = torch.optim.Adam(net.param_groups())
        for number in range(1, 31):
            learn(net, optimizer, number, gamma=4.0)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            optimizer.step()
            net.update(optimizer)
            if prune_every is not None and number % prune_every == 0:
                net.prune(optimizer)
        net.prune(optimizer)
        results.append(net.state_dict())
    assert results[0]["block1.conv1.weight"].numel() < model.get_parameter("block1.conv1.weight").numel()
    for name, tensor in results[0].items():
        torch.testing.assert_close(tensor, results[1][name], rtol=1e-8, atol=1e-8, msg=name)


def test_loaded_weights_are_not_held_at_zero() -> None:
    net = scfx.compress(Residual().double(), images(2))
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        net.get_parameter("branch.weight_quantizer.bits")[:3] = 0
        net.get_parameter("branch.bias")[:3] = 0
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    net.update(optimizer)
    net.load_state_dict(before)
    expected = net(images(4))
    net.update(optimizer)
    assert torch.equal(net(images(4)), expected)
    assert not net.prune(optimizer)


def test_a_position_parameter_on_a_dead_channel_is_held() -> None:
    class Positioned(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.last = torch.nn.Conv2d(1, 6, 3, padding=1, bias=False), torch.nn.Conv2d(6, 2, 1)
            self.position = torch.nn.Parameter(torch.zeros(1, 6, 8, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.last(self.conv(x) + self.position)
            return result

    net = scfx.compress(Positioned().double(), images(2))
    net.prune_every = None
    optimizer = torch.optim.Adam(net.param_groups())
    with torch.no_grad():
        net.get_parameter("conv.weight_quantizer.bits")[:2] = 0
    for number in range(5):
        net.update(optimizer)
        optimizer.zero_grad()
        net(images(4, number)).square().sum().backward()
        optimizer.step()
    net.update(optimizer)
    assert net.prune(optimizer)
    assert net.get_parameter("position").shape == (1, 4, 8, 8)
