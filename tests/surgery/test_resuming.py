"""A run that is saved, loaded into a fresh module and continued ends where one that wasn't interrupted ends."""

import copy
import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import scfx
from tests.toys import Residual, images, labels

GAMMA = 0.5


def fresh(seed: int = 0, **options: Any) -> scfx.CompressedModule:
    torch.manual_seed(seed)
    net = scfx.compress(Residual().double(), images(4), **options)
    net.prune_every = 7
    return net


def optimizer_for(net: scfx.CompressedModule) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.param_groups(lr=1e-2, quantizer_lr=0.3))


def train(net: scfx.CompressedModule, optimizer: torch.optim.Optimizer, steps: range) -> None:
    net.train()
    for step in steps:
        loss = functional.cross_entropy(net(images(8, seed=step)), labels(8, seed=step)) + GAMMA * net.size()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        net.update(optimizer)


def through_a_file(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("stop", [1, 33, 47])
def test_continues_bit_for_bit(stop: int) -> None:
    net = fresh()
    optimizer = optimizer_for(net)
    train(net, optimizer, range(stop))
    saved = through_a_file({"net": net.state_dict(), "optimizer": optimizer.state_dict()})
    train(net, optimizer, range(stop, 60))

    resumed = fresh(seed=1)
    resumed.load_state_dict(saved["net"])
    other = optimizer_for(resumed)
    other.load_state_dict(saved["optimizer"])
    train(resumed, other, range(stop, 60))
    assert sum(p.numel() for p in net.parameters()) < 0.8 * sum(p.numel() for p in fresh().parameters())
    assert_same(net.state_dict(), resumed.state_dict())
    x = images(5)
    assert torch.equal(net.eval()(x), resumed.eval()(x))


@pytest.fixture(scope="module")
def narrow() -> scfx.CompressedModule:
    """A module that has lost channels."""
    net = fresh()
    train(net, optimizer_for(net), range(50))
    assert net.prune() is not None
    return net


def test_a_narrower_state_loads_into_a_module_that_has_lost_some(narrow: scfx.CompressedModule) -> None:
    net = fresh(quantize=False)
    first = net.get_parameter("block1.conv1.weight")
    with torch.no_grad():
        for name in ("block1.conv1.weight", "block1.bn1.weight", "block1.bn1.bias"):
            net.get_parameter(name)[2] = 0
    net.prune()
    half_way = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        for name in ("block1.conv1.weight", "block1.bn1.weight", "block1.bn1.bias"):
            net.get_parameter(name)[4] = 0
    net.prune()
    other = fresh(seed=3, quantize=False)
    other.load_state_dict(half_way)
    other.load_state_dict(net.state_dict())
    assert first.shape[0] == 6
    assert_same(net.state_dict(), other.state_dict())
    assert torch.equal(net.eval()(images(2)), other.eval()(images(2)))
    with pytest.raises(scfx.errors.CheckpointError, match="fresh"):
        other.load_state_dict(half_way)


def test_as_a_part_of_a_whole(narrow: scfx.CompressedModule) -> None:
    whole, other = nn.Sequential(narrow, nn.Linear(10, 2)), nn.Sequential(fresh(seed=1), nn.Linear(10, 2))
    other.load_state_dict(whole.state_dict())
    assert_same(dict(whole.state_dict()), dict(other.state_dict()))


def test_an_unpruned_state_is_that_of_the_model() -> None:
    net = fresh(quantize=False)
    assert list(net.state_dict()) == list(Residual().state_dict())


@pytest.mark.parametrize("how", ["other model", "missing", "unknown", "damaged", "kind", "order", "strange"])
def test_another_state_is_refused_untouched(narrow: scfx.CompressedModule, how: str) -> None:
    state = dict(narrow.state_dict())
    key = next(key for key in state if "kept.0.block1" in key)
    if how == "other model":
        state = dict(scfx.compress(Residual(12).double(), images(4)).state_dict())
    elif how == "missing":
        del state["head.weight"]
    elif how == "unknown":
        state["stem.9.weight"] = torch.zeros(2)
    elif how == "damaged":
        state[key] = state[key][1:]
    elif how == "kind":
        state[key] = state[key].double()
    elif how == "order":
        state[key] = state[key] + 1000
    else:
        state["_scfx.kept.seven.head.weight"] = torch.zeros(2, dtype=torch.int64)
    net = fresh(seed=1)
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(scfx.errors.CheckpointError):
        net.load_state_dict(state)
    assert_same(before, net.state_dict())
    assert net.channels.axes[0].size == 8


def test_which_channel_stays_when_all_could_go_is_remembered() -> None:
    """It is the one that could go last, which may have been before the module was saved."""
    net = fresh()
    net.prune_every = None
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    for dead in (slice(0, 5), slice(0, 8)):
        with torch.no_grad():
            net.get_parameter("branch.weight_quantizer.bits")[dead] = 0
            net.get_parameter("branch.bias")[dead] = 0
        net.update(optimizer)
    other, copied = fresh(seed=1), copy.deepcopy(net)
    other.load_state_dict(through_a_file(net.state_dict()))
    for each in (net, other, copied):
        each.prune()
    assert net.state_dict()["_scfx.kept.0.branch.weight"].tolist() == [5]
    assert_same(net.state_dict(), other.state_dict())
    assert_same(net.state_dict(), copied.state_dict())
