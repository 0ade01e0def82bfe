"""Branches with channels of their own in training: when they go does not matter, and everything else follows."""

import copy

import pytest
import torch

import scfx
from tests.graph.test_branches import places
from tests.loop import step, train
from tests.toys import Residual, images


@pytest.fixture(autouse=True)
def _free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding into some channels costs nothing, so that all branches are as narrow as they can be."""
    monkeypatch.setattr("scfx.removal.worth.ADDING", 0)


#: Channels of branches that are about to die.
DYING = {"stem.0": [1], "block1.conv2": [0, 2], "block2.conv2": [3, 4, 5], "block2.shortcut.0": [5, 7]}


def compressed(width: int = 6, **options: object) -> scfx.CompressedModule:
    torch.manual_seed(0)
    net = scfx.compress(Residual(width).double(), images(2), branches=True, **options)  # type: ignore[arg-type]
    net.prune_every = None
    return net


def narrowed(net: scfx.CompressedModule) -> bool:
    return any(one is not None or other is not None for _, one, other in places(net))


def trained(prune_every: int | None) -> scfx.CompressedModule:
    """A module some of whose branches' channels were about to die when its training began."""
    net = compressed()
    with torch.no_grad():
        for name, some in DYING.items():
            net.get_parameter(f"{name}.weight_quantizer.bits")[some] = 0.01
    train(net, torch.optim.Adam(net.param_groups(lr=1e-3, quantizer_lr=0.5)), 14, 1.0, prune_every)
    return net


@pytest.fixture(scope="module")
def early() -> scfx.CompressedModule:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scfx.removal.worth.ADDING", 0)
        return trained(4)


def test_the_time_of_removal_does_not_matter(early: scfx.CompressedModule) -> None:
    late = trained(None)
    assert narrowed(early)
    assert places(early) == places(late)
    others = late.state_dict()
    for name, tensor in early.state_dict().items():
        torch.testing.assert_close(tensor, others[name], rtol=1e-8, atol=1e-8, msg=name)


def test_a_narrow_state_loads_into_a_fresh_module(early: scfx.CompressedModule) -> None:
    fresh = compressed()
    fresh.load_state_dict(early.state_dict())
    assert places(fresh) == places(early)
    for training in (False, True):
        assert torch.equal(fresh.train(training)(images(5)), copy.deepcopy(early).train(training)(images(5)))
    assert fresh.size() == early.size()


def test_without_branches_a_narrow_state_is_refused(early: scfx.CompressedModule) -> None:
    state = early.state_dict()
    net = scfx.compress(Residual(6).double(), images(2))
    with pytest.raises(scfx.errors.CheckpointError, match="branches=True"):
        net.load_state_dict(state)
    assert net.get_parameter("stem.0.weight").shape[0] == 6


def test_the_final_module_adds_into_some_channels(early: scfx.CompressedModule) -> None:
    final = early.eval().finalize()
    torch.testing.assert_close(final(images(5)), early(images(5)), rtol=1e-10, atol=1e-12)
    assert not any("scfx" in str(node.target) for node in final.graph.nodes)
    assert "index_add" in final.code


def test_a_living_shortcut_keeps_no_branch_alive() -> None:
    """A branch's shifts are blockers although the channels of the sum live."""
    net = compressed()
    optimizer = torch.optim.Adam(net.param_groups(lr=1e-2))
    with torch.no_grad():
        net.get_parameter("block2.bn2.bias").fill_(0.2)
        net.get_parameter("block2.conv2.weight_quantizer.bits")[:3] = 0
    for number in range(8):
        step(net, optimizer, number)
        assert number or net.prune(optimizer).blockers == {"block2.bn2.bias": 3}
    net.prune(optimizer)
    assert net.get_parameter("block2.conv2.weight").shape[0] == 9
    assert net.get_parameter("block2.shortcut.0.weight").shape[0] == 12


def test_what_people_look_at_knows_of_merges(early: scfx.CompressedModule) -> None:
    text = early.channels.explain("block1.conv2.weight", 0)
    assert "-> merge (adds it to other channels: the channels end here)" in text
    assert str(early.channels.report())
    assert any("merge" in str(data) for _, data in early.channels.to_networkx().nodes(data=True))
