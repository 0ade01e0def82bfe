"""Guards: depths that fall with care, and a network that keeps a way from its inputs to its outputs."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import scfx
from tests.toys import Residual, images, labels


def line() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)).double()


def trained(
    net: scfx.CompressedModule, steps: int, gamma: float, batch: Callable[[int], Tensor], rate: float = 0.5
) -> list[list[float]]:
    """Trains on the size alone, but for a trace of the outputs; returns all depths after each update."""
    optimizer = torch.optim.Adam(net.param_groups(quantizer_lr=rate))
    depths = []
    for step in range(steps):
        optimizer.zero_grad()
        (1e-3 * net(batch(step)).square().mean() + gamma * net.size()).backward()
        optimizer.step()
        net.update(optimizer)
        depths.append([depth for _, quantizer in net.quantizers() for depth in quantizer.bits.tolist()])
    return depths


def rows(step: int) -> Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(step), dtype=torch.float64)


def test_depths_stay_during_the_warm_up() -> None:
    net = scfx.compress(line(), rows(0))
    net.guards = scfx.Guards(warm_up=4)
    depths = trained(net, 6, 10.0, rows)
    assert all(depth == 8.0 for step in depths[:4] for depth in step)
    assert all(depth < 8.0 for depth in depths[4])


@pytest.mark.parametrize("fall", [0.5, 0.1])
def test_a_depth_falls_by_no_more_than_the_limit(fall: float) -> None:
    net = scfx.compress(line(), rows(0))
    assert net.guards.fall == 0.5
    net.guards = scfx.Guards(fall=fall)
    depths = trained(net, 12, 10.0, rows, rate=3.0)
    for before, after in zip([[8.0] * 10, *depths], depths, strict=False):
        assert min(b - a for a, b in zip(after, before, strict=True)) >= 0
        assert max(b - a for a, b in zip(after, before, strict=True)) == pytest.approx(fall)


def test_what_is_set_by_hand_is_no_fall() -> None:
    net = scfx.compress(line(), rows(0))
    trained(net, 2, 0.0, rows)
    bits = net.get_parameter("2.weight_quantizer.bits")
    with torch.no_grad():
        bits[1:3] = 0
    net.update(torch.optim.SGD(net.parameters(), lr=0.0))
    assert (bits == 0).tolist() == [False, True, True, False, False]


def test_no_channel_dies_before_its_time() -> None:
    net = scfx.compress(line(), rows(0))
    net.prune_every = None
    net.guards = scfx.Guards(keep_until=25, floor=3.0)
    depths = trained(net, 40, 10.0, rows)
    assert min(depths[24]) == 3.0
    assert min(depths[-1]) == 0.0


@pytest.mark.parametrize("prune_every", [3, None])
def test_the_last_way_through_the_network_is_kept(prune_every: int | None) -> None:
    """All weights fall together, so that all channels of a weight but the spared one die in one update."""
    net = scfx.compress(line(), rows(0))
    net.prune_every = prune_every
    trained(net, 40, 10.0, rows)
    alive = {path: quantizer.bits[~quantizer.dead].tolist() for path, quantizer in net.quantizers()}
    assert alive == {f"{layer}.weight_quantizer": [2.0] for layer in (0, 2, 4)}


def test_the_last_channel_goes_where_it_may() -> None:
    net = scfx.compress(line(), rows(0))
    net.guards = scfx.Guards(spare_last=False)
    trained(net, 40, 10.0, rows)
    assert all(bool(quantizer.dead.all()) for _, quantizer in net.quantizers())


def test_a_branch_beside_another_way_may_die_and_the_last_way_may_not() -> None:
    net = scfx.compress(Residual().double(), images(2), dynamic=False)
    net.prune_every = 4
    trained(net, 24, 10.0, images)
    dead = {path.split(".weight")[0]: bool(quantizer.dead.all()) for path, quantizer in net.quantizers()}
    assert not dead["stem.0"]
    assert not dead["head"]
    assert dead["block1.conv1"]  # its shortcut is still there
    assert dead["block1.conv2"]
    assert not (dead["block2.conv2"] and dead["block2.shortcut.0"])


def test_a_resumed_run_spares_the_same() -> None:
    def make() -> tuple[scfx.CompressedModule, torch.optim.Optimizer]:
        torch.manual_seed(0)
        net = scfx.compress(Residual(4).double(), images(2), dynamic=False)
        return net, torch.optim.Adam(net.param_groups())

    def run(net: scfx.CompressedModule, optimizer: torch.optim.Optimizer, steps: range) -> None:
        for step in steps:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(images(8, step)), labels(8, step))
            (loss + 3 * net.size()).backward()
            optimizer.step()
            net.update(optimizer)

    net, optimizer = make()
    run(net, optimizer, range(20))
    other, again = make()
    other.load_state_dict(net.state_dict())
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(net, optimizer, range(20, 24))
    run(other, again, range(20, 24))
    assert any(int((~quantizer.dead).sum()) == 1 for _, quantizer in net.quantizers())
    for name, value in other.state_dict().items():
        assert torch.equal(value, net.state_dict()[name]), name


def test_options_are_checked() -> None:
    for name, value in (("fall", 0.0), ("warm_up", -1), ("floor", 0.0), ("release", float("nan")), ("keep_until", -2)):
        with pytest.raises(scfx.InputError, match=rf"Guards\({name}=...\) is"):
            scfx.Guards(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(scfx.InputError, match="at most 24"):
        scfx.Guards(floor=30.0)
    net = scfx.compress(line(), rows(0))
    with pytest.raises(scfx.InputError, match=r"takes scfx\.Guards"):
        net.guards = 3  # type: ignore[assignment]
