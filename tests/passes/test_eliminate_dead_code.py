"""Dead nodes go, unless they write or draw."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scfx.passes.eliminate_dead_code import EliminateDeadCode
from tests.passes.tools import captured, check, program


class Wasteful(nn.Module):
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4, dtype=torch.float64)
        self.idle = nn.Linear(4, 4, dtype=torch.float64)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        self.idle(x).view(x.size(0) * 2, -1).chunk(2, 1)
        self.norm(x)
        self.steps.add_(1)
        torch.dropout(x, 0.5, True)
        torch.dropout(x, 0.5, False)
        x.new_empty(3).uniform_()
        return x + torch.rand_like(x)


def batch(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(size, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(size)),)


def operators(lines: list[str]) -> list[str]:
    return [line.split(" = ")[1].split("(")[0] for line in lines[:-1]]


def test_train() -> None:
    toy = check(Wasteful(), batch, [EliminateDeadCode()])
    assert operators(program(toy.graph)) == [
        "add_.Tensor",
        "batch_norm.default",
        "add_.Tensor",
        "dropout.default",
        "new_empty.default",
        "uniform_.default",
        "rand_like.default",
        "add.Tensor",
    ]
    assert not toy.graph.find_nodes(op="get_attr", target="idle.weight")


def test_eval_updates_no_statistics() -> None:
    toy = check(Wasteful(), batch, [EliminateDeadCode()], train=False)
    assert "batch_norm.default" not in operators(program(toy.graph))


def test_counts_and_keeps_placeholders() -> None:
    class First(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            y.exp().sin()
            return x * 2

    toy = captured(First(), torch.ones(3, 4), torch.ones(3, 4))
    assert EliminateDeadCode()(toy.graph, toy.root) == 2
    assert len(toy.graph.find_nodes(op="placeholder")) == 2
