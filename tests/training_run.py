"""A training run with all that runs have, for the tests that stop it and go on."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import scfx
from tests.lossless_networks import dealt, fresh, loss_of

KIND = "decoder"


class Run:
    """All that a training run has, made as it is for each start."""

    def __init__(self, kind: str = KIND) -> None:
        self.kind = kind
        self.net = fresh(kind, prune_every=5)
        self.optimizers = dealt(self.net, turn=2)
        self.average = AveragedModel(self.net, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        self.net.add_follower(self.average)
        self.cycle = lr_scheduler.OneCycleLR(self.optimizers[-1], 0.4, total_steps=60)
        self.plateau = lr_scheduler.ReduceLROnPlateau(self.optimizers[0], patience=1)
        self.steps = lr_scheduler.MultiStepLR(self.optimizers[1], [3, 7])
        self.order = torch.Generator().manual_seed(3)
        self.extra: dict[str, Any] = {
            "average": self.average, "cycle": self.cycle, "plateau": self.plateau, "steps": self.steps,
            "order": self.order,
        }  # fmt: skip

    def train(self, steps: range) -> None:
        for step in steps:
            number = int(torch.randint(1000, (), generator=self.order)) + random.randrange(9) + np.random.randint(9)
            self.net.zero_grad()
            loss = loss_of(self.net, self.kind, number + int(torch.randint(9, ())), 0.5 if step < 20 else 0)
            loss.backward()
            for optimizer in self.optimizers:
                optimizer.step()
            for scheduler in (self.cycle, self.steps):
                scheduler.step()
            self.plateau.step(float(loss.detach()))
            self.net.update(self.optimizers)
            self.average.update_parameters(self.net)

    def save(self, path: Path, **values: Any) -> None:
        scfx.save_checkpoint(path, self.net, self.optimizers, **self.extra, **values)

    def load(self, path: Path) -> dict[str, Any]:
        return scfx.load_checkpoint(path, self.net, self.optimizers, **self.extra)

    def everything(self) -> dict[str, Any]:
        states = {name: each.get_state() if name == "order" else each.state_dict() for name, each in self.extra.items()}
        return copy.deepcopy(
            states | {"net": self.net.state_dict(), "optimizers": [each.state_dict() for each in self.optimizers]}
        ) | {"random": (torch.get_rng_state(), random.getstate(), str(np.random.get_state()))}


def assert_same(one: Any, other: Any, where: str = "") -> None:
    """Equal bit for bit, whatever it is made of."""
    assert type(one) is type(other), where
    if isinstance(one, (Tensor, np.ndarray)):
        assert one.dtype == other.dtype, where
        assert one.shape == other.shape, where
        assert bool((one == other).all()), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key, value in one.items():
            assert_same(value, other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for number, (first, second) in enumerate(zip(one, other, strict=True)):
            assert_same(first, second, f"{where}.{number}")
    else:
        assert one == other, where
