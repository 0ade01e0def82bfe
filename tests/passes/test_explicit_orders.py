"""Shuffles and lookups by constants name the indices that they take."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scfx.passes.explicit_orders import ExplicitOrders
from scfx.passes.fold_constants import FoldConstants
from scfx.passes.functionalize import Functionalize
from tests.passes.tools import captured, check, program


class Shuffling(nn.Module):
    def forward(self, x: Tensor) -> Any:
        b, c, h, w = x.shape
        shuffled = x.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, c, h, w)
        rows = x.unflatten(2, (2, 2)).permute(0, 1, 3, 2, 4).flatten(2, 3)
        thrice = shuffled.reshape(b, 3, 2, h, w).transpose(2, 1).reshape(b, -1, h, w)
        return [y * 2 for y in (shuffled, rows, thrice, functional.channel_shuffle(x, 3))]


class NoShuffles(nn.Module):
    """Views that change the shape, several dims at once, or nothing."""

    def forward(self, x: Tensor) -> Any:
        b, c, h, w = x.shape
        square = x.transpose(2, 3).reshape(b, c, h, w)
        moved = x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h * w)
        back = x.permute(0, 2, 3, 1).permute(0, 3, 1, 2).reshape(b, c, h, w)
        samples = x.view(-1, 2, c, h, w).transpose(0, 1).reshape(b, c, h, w)
        return [y * 2 for y in (square, moved, back, samples)]


class Looking(nn.Module):
    order: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("order", torch.tensor([1, 0, 2, 3, 4, 5]))

    def forward(self, x: Tensor) -> Any:
        constant = x[:, [0, -1, 2]]
        selected = x.index_select(2, torch.tensor([3, 2, 1, 0]))
        twice, users = x[:, [0, 0]], x[:, self.order]
        return [y * 2 for y in (constant, selected, twice, users)]


def batch(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(2 * size, 6, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(size)),)


def takes(lines: list[str]) -> list[str]:
    return [line.split("take.default")[1] for line in lines if "take.default" in line]


def test_a_shuffle_is_one_operator() -> None:
    toy = check(Shuffling(), batch, [ExplicitOrders()])
    made = takes(program(toy.graph))
    assert made[0] == "(x, 1, [0, 3, 1, 4, 2, 5])"
    assert "(x, 2, [0, 2, 1, 3])" in made
    assert "(x, 1, [0, 2, 4, 1, 3, 5])" in made
    assert len(made) == 4
    toy.graph.eliminate_dead_code()
    assert not [line for line in program(toy.graph) if "view" in line or "transpose" in line or "permute" in line]


def test_what_is_no_shuffle_stays() -> None:
    toy = captured(NoShuffles(), *batch(3))
    assert ExplicitOrders()(toy.graph, toy.root) == 0


def test_constant_indices_are_written_down_unless_one_comes_twice() -> None:
    toy = check(Looking(), batch, [Functionalize(), FoldConstants(), ExplicitOrders()])
    assert takes(program(toy.graph)) == ["(slice_1, 1, [0, 5, 2])", "(x, 2, [3, 2, 1, 0])"]
