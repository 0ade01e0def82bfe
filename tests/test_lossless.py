"""When channels go leaves no trace in the weights: for four kinds of networks and each optimizer of torch.optim."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional

import scfx
from tests.lossless_networks import MODELS, batch, build

Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

#: Each with settings that count: decay, momentum, the average of gradients.
OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 2e-3, weight_decay=0.01, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, 2e-3, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 1e-3, momentum=0.5, centered=True, weight_decay=0.01),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.01, weight_decay=0.01),
    "nadam": lambda p: torch.optim.NAdam(p, 2e-3, weight_decay=0.01),
    "radam": lambda p: torch.optim.RAdam(p, 2e-3, weight_decay=0.01),
    "adafactor": lambda p: torch.optim.Adafactor(p, 2e-2, weight_decay=0.1),
    "muon": lambda p: torch.optim.Muon(p, 5e-3, weight_decay=0.1),
}


@cache
def captured(kind: str) -> scfx.CompressedModule:
    """A compressed network that some channels will leave: their depths differ at the start."""
    net = scfx.compress(build(kind), batch(kind, 0)[0])
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, quantizer in net.quantizers():
            quantizer.bits.copy_(
                torch.tensor([1.0, 2.0, 8.0])[torch.randint(3, quantizer.bits.shape, generator=generator)]
            )
    return net


def fresh(kind: str, prune_every: int | None = None) -> scfx.CompressedModule:
    net = copy.deepcopy(captured(kind))
    net.prune_every = prune_every
    return net


def own(net: scfx.CompressedModule) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The model's own parameters, and those of the quantizers."""
    quantizers = [parameter for _, quantizer in net.quantizers() for parameter in quantizer.parameters()]
    known = {id(parameter) for parameter in quantizers}
    return [parameter for parameter in net.parameters() if id(parameter) not in known], quantizers


def dealt(net: scfx.CompressedModule, turn: int) -> list[torch.optim.Optimizer]:
    """One optimizer of each kind, with parameters dealt to them by turns; one more moves the quantizers."""
    parameters, quantizers = own(net)
    hands: dict[str, list[nn.Parameter]] = {kind: [] for kind in OPTIMIZERS}
    for flat in (False, True):
        kinds = [kind for kind in OPTIMIZERS if not (flat and kind == "muon")]
        for place, parameter in enumerate(p for p in parameters if (p.dim() < 2) == flat):
            kind = kinds[(turn + place) % len(kinds)]
            hands["adam" if kind == "muon" and parameter.dim() != 2 else kind].append(parameter)
    made = [OPTIMIZERS[kind](hand) for kind, hand in hands.items() if hand]
    return [*made, torch.optim.Adam(quantizers, 0.1)]


def loss_of(net: scfx.CompressedModule, kind: str, step: int, gamma: float) -> torch.Tensor:
    x, target = batch(kind, step)
    loss = functional.cross_entropy(net(x).flatten(0, -2), target.flatten())
    return loss + gamma * net.size() if gamma else loss


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
