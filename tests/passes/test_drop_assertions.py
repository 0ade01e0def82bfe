"""Checks go, and what they need goes with the dead code."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scfx.passes.drop_assertions import DropAssertions
from scfx.passes.eliminate_dead_code import EliminateDeadCode
from tests.passes.tools import captured, check, program


class Checked(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        torch._assert_async((x == x).all())
        torch._check(x.shape[0] < 1000)
        return x.to(torch.float32) + 1


def test_assertions_go() -> None:
    toy = captured(Checked(), torch.ones(3, 4, dtype=torch.float64))
    before = program(toy.graph)
    assert [line for line in before if "_assert" in line]
    changes = DropAssertions()(toy.graph, toy.root)
    assert changes == len([line for line in before if "_assert" in line or "constrain" in line])
    EliminateDeadCode()(toy.graph, toy.root)
    assert program(toy.graph) == ["to = to.dtype(x, torch.float32)", "add = add.Tensor(to, 1)", "return [add]"]


def test_numbers() -> None:
    check(
        Checked(),
        lambda size: (torch.linspace(0, 1, size * 4, dtype=torch.float64).view(size, 4),),
        [DropAssertions(), EliminateDeadCode()],
    )
