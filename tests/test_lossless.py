"""When channels go leaves no trace in the weights: for four kinds of networks and each optimizer of torch.optim."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import nn

import scfx
from tests.lossless_networks import MODELS, captured, dealt, fresh, loss_of


def train(net: scfx.CompressedModule, kind: str, optimizers: Iterable[torch.optim.Optimizer], steps: int) -> None:
    """Trains; depths are under pressure for the first fifth."""
    optimizers = list(optimizers)
    for step in range(steps):
        net.zero_grad()
        loss_of(net, kind, step, 0.5 if 5 * step < steps else 0).backward()
        for optimizer in optimizers:
            optimizer.step()
        net.update(optimizers)


def assert_close(one: nn.Module, other: nn.Module) -> None:
    now, late = one.state_dict(), other.state_dict()
    assert {n: t.shape for n, t in now.items()} == {n: t.shape for n, t in late.items()}
    for name, tensor in now.items():
        torch.testing.assert_close(tensor, late[name], rtol=1e-8, atol=1e-8, msg=name)


def double_precision_muon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Muon orthogonalises in bfloat16, whose rounding is all that is left of the time of removal; not here."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)


@pytest.mark.parametrize("kind", MODELS)
def test_the_time_of_removal_does_not_matter(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    double_precision_muon(monkeypatch)
    turn = {"convolutional": 5, "pre-norm": 0, "post-norm": 6, "decoder": 2}[kind]
    nets = []
    for prune_every in (10, None):
        net = fresh(kind, prune_every)
        optimizers = dealt(net, turn)
        train(net, kind, optimizers, 200)
        net.prune(optimizers)
        nets.append(net)
    left, all_of_them = (sum(p.numel() for p in each.parameters()) for each in (nets[0], captured(kind)))
    assert 0.2 * all_of_them < left < 0.8 * all_of_them
    assert_close(*nets)
