"""Splits name the sizes of their parts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scfx.passes.explicit_splits import ExplicitSplits
from tests.passes.tools import captured, check, program


class Splitting(nn.Module):
    def forward(self, x: Tensor) -> Any:
        chunks = x.chunk(3, 1)
        parts = x.split(2, -1)
        named = x.split([1, 4], 1)
        unsafe = torch.unsafe_split(x, 2, 1)
        sections = torch.tensor_split(x, 2, 1)
        indices = torch.tensor_split(x, (1, 3), 2)
        columns, depth = torch.hsplit(x, [2]), torch.dsplit(x, 2)
        return [part * 2 for part in (*chunks, *parts, *named, *unsafe, *sections, *indices, *columns, *depth)]


class SplittingTheBatch(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return x.chunk(2)


def batch(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(2 * size, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(size)),)


def test_printed_program() -> None:
    toy = check(Splitting(), batch, [ExplicitSplits()])
    assert [line.split(" = ")[1] for line in program(toy.graph) if "sizes.default(" in line] == [
        "split_with_sizes.default(x, [2, 2, 1], 1)",
        "split_with_sizes.default(x, [2, 2], -1)",
        "split_with_sizes.default(x, [1, 4], 1)",
        "split_with_sizes.default(x, [2, 2, 1], 1)",
        "split_with_sizes.default(x, [3, 2], 1)",
        "split_with_sizes.default(x, [1, 2, 1], 2)",
        "split_with_sizes.default(x, [2, 3], 1)",
        "split_with_sizes.default(x, [2, 2], 2)",
    ]


def test_counts() -> None:
    toy = captured(Splitting(), *batch(3))
    assert ExplicitSplits()(toy.graph, toy.root) == 7, "all but the one whose sizes were named"


def test_a_split_of_the_batch_stays() -> None:
    toy = captured(SplittingTheBatch(), torch.ones(4, 2).repeat_interleave(2, 0))
    assert ExplicitSplits()(toy.graph, toy.root) == 0
