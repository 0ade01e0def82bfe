"""Dropout that does nothing goes; dropout that draws stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scfx.passes.drop_inactive_dropout import DropInactiveDropout
from scfx.passes.eliminate_dead_code import EliminateDeadCode
from scfx.passes.functionalize import Functionalize
from tests.passes.tools import check, program

PASSES = (DropInactiveDropout(), Functionalize(), EliminateDeadCode())


class Dropping(nn.Module):
    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5, inplace)
        self.never = nn.Dropout2d(0.0)
        self.w = nn.Parameter(torch.linspace(-1, 1, 4, dtype=torch.float64))

    def forward(self, x: Tensor) -> Any:
        y = x * self.w
        z = self.drop(y)
        z = self.never(z) + 1
        return z, y


def batch(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(size, 3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(size)),)


@pytest.mark.parametrize("inplace", [False, True])
def test_eval(inplace: bool) -> None:
    toy = check(Dropping(inplace), batch, PASSES, train=False)
    assert program(toy.graph) == ["mul = mul.Tensor(x, w)", "add = add.Tensor(mul, 1)", "return [add, mul]"]


@pytest.mark.parametrize("inplace", [False, True])
def test_train_keeps_what_draws(inplace: bool) -> None:
    toy = check(Dropping(inplace), batch, PASSES)
    assert [line.split(" = ")[1].split("(")[0] for line in program(toy.graph)[:-1]] == [
        "mul.Tensor",
        "dropout.default",
        "add.Tensor",
    ]
