"""Averages of the weights lose the channels that the network loses, and it doesn't matter when."""

from __future__ import annotations

import copy
import gc

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import scfx
from tests.lossless_networks import batch, fresh, loss_of
from tests.test_lossless import assert_close

KIND = "convolutional"


def averaged(net: scfx.CompressedModule, use_buffers: bool = False) -> AveragedModel:
    return AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=use_buffers)


@pytest.mark.parametrize(
    ("kind", "use_buffers"), [("convolutional", False), ("convolutional", True), ("post-norm", False)]
)
def test_an_average_is_the_same_whenever_channels_go(kind: str, use_buffers: bool) -> None:
    """With all that people do between steps: parts of a batch, clipping, schedules that move rates and momenta."""
    averages = []
    norms: list[list[float]] = []
    for prune_every in (4, None):
        net = fresh(kind, prune_every)
        average = averaged(net, use_buffers)
        net.add_follower(average)
        optimizer = torch.optim.AdamW(net.param_groups(lr=1e-3, quantizer_lr=0.4))
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, [2e-3, 4e-2, 0.4], total_steps=24)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, cooldown=1)
        norms.append([])
        for step in range(22):
            net.zero_grad()
            total = 0.0
            for part in range(2):
                loss = loss_of(net, kind, 2 * step + part, 0.5 if step < 15 else 0) / 2
                loss.backward()
                total += float(loss.detach())
            norms[-1].append(float(torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)))
            optimizer.step()
            cycle.step()
            plateau.step(total)
            net.update(optimizer)
            average.update_parameters(net)
            if step == 17:  # when much has died, in one network it is still there
                averages.append(average(batch(kind, 99)[0]))
        before = average.eval()(batch(kind, 7)[0])
        report = net.prune(optimizer)
        assert report or prune_every
        torch.testing.assert_close(average(batch(kind, 7)[0]), before, rtol=1e-10, atol=1e-10)
        averages.append(average)
    first, second = averages[1], averages[3]
    torch.testing.assert_close(averages[0], averages[2], rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(*(torch.tensor(each) for each in norms), rtol=1e-8, atol=1e-8)
    assert_close(first, second)
    left, at_first = (sum(p.numel() for p in each.parameters()) for each in (first, fresh(kind)))
    assert left < 0.75 * at_first
    small = first.module.finalize()
    torch.testing.assert_close(small(batch(kind, 7)[0]), first.eval()(batch(kind, 7)[0]), rtol=1e-10, atol=1e-10)


def test_followers_are_found_within_other_modules_and_forgotten_with_them() -> None:
    net = fresh(KIND)
    whole = nn.Sequential(nn.Identity(), copy.deepcopy(net))
    net.add_follower(whole)
    net.add_follower(whole)
    assert net.followers() == [whole[1]]
    assert copy.deepcopy(net).followers() == []
    with pytest.raises(scfx.InputError, match="constants=True"):
        net.prune(constants=True)
    del whole
    gc.collect()
    assert net.followers() == []
    net.prune(constants=True)


def test_what_is_no_copy_is_refused() -> None:
    net = fresh(KIND)
    with pytest.raises(scfx.InputError, match=r"the Linear holds no copy .*deepcopy"):
        net.add_follower(nn.Linear(2, 2))
    with pytest.raises(scfx.InputError, match="only another one"):
        net.add_follower(fresh("decoder"))
    with pytest.raises(scfx.InputError, match="holds no copy"):
        net.add_follower(net)
    follower = fresh(KIND)
    net.add_follower(follower)
    with torch.no_grad():
        for each in (net, follower):
            each.get_parameter("back.weight_quantizer.bits")[0] = 0
            each.get_parameter("hidden.weight_quantizer.bits")[:2] = 0
            each.get_parameter("hidden.bias")[:2] = 0
    assert follower.prune()
    state = copy.deepcopy(net.state_dict())
    with pytest.raises(scfx.PlanError, match="must not be pruned by itself"):
        net.prune()
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


def test_followers_decide_nothing_by_themselves() -> None:
    """What could go by their own tensors is found at other times than in a network that isn't pruned on the way."""
    net, follower, free = fresh(KIND), fresh(KIND), fresh(KIND)
    net.add_follower(follower)
    for each in (follower, free):
        with torch.no_grad():
            each.get_parameter("hidden.weight_quantizer.bits")[:2] = 0
            each.get_parameter("hidden.bias")[:2] = 0
        each.double()
    waiting = [any("latched" in name for name in each.state_dict()) for each in (follower, free)]
    assert waiting == [False, True]
