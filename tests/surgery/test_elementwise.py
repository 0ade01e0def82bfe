"""Optimizers from elsewhere are tried out: those whose steps depend on other entries are told of."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from scfx.surgery.elementwise import is_elementwise
from scfx.surgery.optimizers import meet_optimizers


class Signs(torch.optim.Optimizer):
    """An element-wise optimizer, with hyperparameters of its own."""

    def __init__(self, params: Any, lr: float, power: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "power": power})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                scale = parameter.detach().norm() ** group["power"]
                parameter.data -= group["lr"] * scale * parameter.grad.sign()


class Peculiar(Signs):
    """Its class can't be called with the hyperparameters of an instance."""

    def __init__(self, params: Any, network: nn.Module) -> None:
        super().__init__(params, 0.1)
        self.network = network


def test_what_is_known_of_optimizers() -> None:
    parameter = nn.Parameter(torch.randn(3, 2))
    assert is_elementwise(Signs([parameter], 0.1)) is True
    assert is_elementwise(Signs([{"params": [parameter], "power": 1.0}], 0.1)) is False
    assert is_elementwise(Peculiar([parameter], nn.Linear(2, 2))) is None
    assert is_elementwise(torch.optim.AdamW([parameter])) is True
    assert is_elementwise(torch.optim.Adafactor([parameter])) is False


def test_only_what_is_not_elementwise_is_told_of_and_once() -> None:
    parameter, network = nn.Parameter(torch.randn(3, 2)), nn.Linear(2, 2)
    given: Any = {"parameter": parameter}, {"parameter": (3, 2)}
    before, state = parameter.detach().clone(), torch.get_rng_state()
    for plain in (Signs([parameter], 0.1), torch.optim.SGD([parameter], 0.1), torch.optim.Adafactor([parameter])):
        meet_optimizers(plain, *given)
    scaled = Signs([parameter], 0.1, power=1.0)
    with pytest.warns(UserWarning, match=r"Signs looks at more than one entry .* net.prune_every"):
        meet_optimizers(scaled, *given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        meet_optimizers(scaled, *given)
    with pytest.warns(UserWarning, match="Peculiar can't be tried out"):
        meet_optimizers(Peculiar([parameter], network), *given)
    assert torch.equal(parameter.detach(), before)
    assert torch.equal(torch.get_rng_state(), state)
