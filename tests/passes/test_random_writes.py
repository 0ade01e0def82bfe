"""Random programs of views and writes compute after normalization what they computed before."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scfx.passes.normalize import NORMALIZE
from tests.passes.tools import check

Step = Callable[[list[Tensor]], None]

BATCH = 7
"""A batch size that no other size here is a multiple of, so that dimensions with the batch in them can be told."""


class RandomProgram(nn.Module):
    """Views, copies and writes in random order, over values, buffers and constants, with and without grad."""

    b: Tensor
    m: Tensor

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1, 2, 4, dtype=torch.float64))
        self.register_buffer("b", torch.linspace(1, 2, 4, dtype=torch.float64))
        self.register_buffer("m", torch.linspace(0, 1.5, 16, dtype=torch.float64).view(4, 4))
        before = {name: buffer.clone() for name, buffer in self.named_buffers()}
        self.steps: list[Step] = []
        self._draw(random.Random(seed))
        self.load_state_dict({**before, "w": self.w})

    def _start(self, x: Tensor) -> list[Tensor]:
        table = torch.zeros(4, 4, dtype=torch.float64)
        return [x * self.w, x + self.w, self.m * 1, self.b, self.m, table, x.detach() * 1]

    def _draw(self, draw: random.Random) -> None:
        """Draw steps, leaving out those that fail, by running them on an example."""
        values = self._start(torch.randn(BATCH, 4, 4, dtype=torch.float64))
        for _ in range(draw.randrange(6, 14)):
            step = draw.choice([_view, _view, _write, _write, _compute])(draw, values)
            try:
                with torch.no_grad():
                    step(values)
            except RuntimeError:
                continue
            self.steps.append(step)

    def forward(self, x: Tensor) -> Any:
        values = self._start(x)
        for step in self.steps:
            step(values)
        return [value * 1.0 for value in values]


def _compute(draw: random.Random, values: list[Tensor]) -> Step:
    index, operation = draw.randrange(len(values)), draw.choice([torch.sin, torch.neg])
    return lambda values: values.append(operation(values[index]))


def _view(draw: random.Random, values: list[Tensor]) -> Step:
    index = draw.randrange(len(values))
    shape = values[index].shape or (1,)
    dim, other = draw.randrange(len(shape)), draw.randrange(len(shape))
    place = draw.randrange(shape[dim])
    views: list[Callable[[Tensor], Tensor]] = [
        lambda value: value.unsqueeze(dim),
        lambda value: value.transpose(dim, other),
        lambda value: value.movedim(dim, 0),
        lambda value: value.flatten(0, 1),
        lambda value: value[...],
        torch.detach,
    ]
    if shape[dim] % BATCH:  # places in the batch would be out of range in a smaller one
        views += [
            lambda value: value.select(dim, place),
            lambda value: value.narrow(dim, place, shape[dim] - place),
            lambda value: value.split([place, shape[dim] - place], dim)[1],
        ]
    view = draw.choice(views)
    return lambda values: values.append(view(values[index]))


def _write(draw: random.Random, values: list[Tensor]) -> Step:
    index = draw.randrange(len(values))
    fitting = [other for other, value in enumerate(values) if value.shape == values[index].shape]
    source, without_grad = draw.choice(fitting), draw.random() < 0.3
    writes: list[Callable[[Tensor, Tensor], object]] = [
        lambda target, value: target.mul_(-0.5),
        lambda target, value: target.add_(1),
        lambda target, value: target.clamp_(-2, 2),
        lambda target, value: target.fill_(0.5),
        lambda target, value: target.copy_(value),
        lambda target, value: target.add_(value.clone()),
        lambda target, value: target.masked_fill_(target > 0.7, 0.1),
    ]
    write = draw.choice(writes)

    def step(values: list[Tensor]) -> None:
        with torch.set_grad_enabled(not without_grad and torch.is_grad_enabled()):
            write(values[index], values[source])

    return step


def inputs(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(batch)),)


@pytest.mark.parametrize("seed", range(12))
def test_random_program(seed: int) -> None:
    program = RandomProgram(seed)
    try:
        sum(out.sum() for out in program(*(x.requires_grad_() * 1 for x in inputs(3)))).backward()
    except RuntimeError:
        pytest.skip("autograd refuses this program")
    check(RandomProgram(seed), inputs, NORMALIZE, needs_grad=True)
