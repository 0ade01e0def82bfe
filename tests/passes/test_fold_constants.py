"""Constants are evaluated, and every use of one gets its own copy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from scfx.passes import fold_constants
from scfx.passes.eliminate_dead_code import EliminateDeadCode
from scfx.passes.fold_constants import FoldConstants
from scfx.passes.functionalize import Functionalize
from scfx.passes.mutations import mutated_buffers
from tests.passes.tools import captured, check, program

PASSES = (Functionalize(), FoldConstants(), EliminateDeadCode())


class Tables(nn.Module):
    index: Tensor
    steps: Tensor
    scale: Tensor
    frequency: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(4, dtype=torch.float64))
        self.register_buffer("index", torch.tensor([3, 0, 1, 2]))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("scale", torch.ones(4, dtype=torch.float64))
        self.register_buffer("frequency", torch.linspace(0, 1, 4, dtype=torch.float64), persistent=False)
        self.plain = torch.linspace(1, 2, 4, dtype=torch.float64)

    def forward(self, x: Tensor) -> Any:
        mask = torch.zeros(4, 4, dtype=torch.float64)
        mask[:, 2:] = -1.0
        mask = mask + torch.arange(4)
        order = self.index * 2 // 2
        self.steps.add_(1)
        y = (x + mask) * self.plain + x[:, order] + mask * self.w
        z = y * self.scale + x.new_zeros(4) + x.new_ones((4,))
        return z * self.scale * self.frequency * torch.rand(4) + self.frequency, self.plain * x, torch.ones(2, 2)


class Counter(Tables):
    def forward(self, x: Tensor) -> Tensor:
        return x * (self.index + self.steps)


def batch(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(size, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(size)),)


def fetched(graph: fx.Graph) -> list[str]:
    return [str(node.target) for node in graph.nodes if node.op == "get_attr"]


def test_folding() -> None:
    toy = check(Tables(), batch, PASSES, needs_grad=True)
    lines = program(toy.graph)
    assert not [line for line in lines if "zeros" in line or "arange" in line or "scatter" in line or "floor" in line]
    constants = [name for name in fetched(toy.graph) if name.startswith("_constant_")]
    assert len(constants) == len(set(constants)), "a constant is fetched twice"
    assert all(
        len(node.users) <= 1 for node in toy.graph.nodes if str(node.target).startswith(("_constant", "_lifted"))
    )
    assert "steps" in fetched(toy.graph)
    assert fetched(toy.graph).count("scale") == 1, "a buffer of the state dict has one name"
    assert list(toy.root.state_dict()) == list(Tables().state_dict())
    copies = [buffer for name, buffer in toy.root.named_buffers() if name.startswith("_constant_")]
    assert len({copy.untyped_storage().data_ptr() for copy in copies}) < len(copies), "copies share memory"


def test_returned_constant_is_a_clone() -> None:
    toy = check(Tables(), batch, PASSES)
    first, second = toy.call(*batch(3))[2], toy.call(*batch(3))[2]
    first.zero_()
    assert torch.equal(second, torch.ones(2, 2))


def test_buffers_that_the_other_mode_changes_are_no_constants() -> None:
    train, counter = captured(Tables(), *batch(3)), captured(Counter(), *batch(3), train=False)
    mutable = mutated_buffers(train.graph, train.root)
    assert mutable == {"steps"}
    assert FoldConstants(mutable)(counter.graph, counter.root) == 0
    assert FoldConstants()(counter.graph, counter.root) == 1


def test_large_constants_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold_constants, "LARGEST", 10)

    class Large(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.ones(20).view(1, 20) + torch.ones(2).sum()

    toy = captured(Large(), torch.ones(3, 20))
    assert FoldConstants()(toy.graph, toy.root) == 1
    assert program(toy.graph)[0].startswith("ones = ones.default([20]"), "20 elements are too many"
    assert "_constant_0" in program(toy.graph)[-2], "one element is not"


def test_symbolic_sizes_are_no_constants() -> None:
    class Positions(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.arange(x.size(0)).unsqueeze(1)

    toy = captured(Positions(), torch.ones(3, 4))
    assert FoldConstants()(toy.graph, toy.root) == 0
