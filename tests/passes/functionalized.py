"""What the tests of functionalization have in common: a model around one function, and the passes up to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from scfx.passes.effects import written
from scfx.passes.eliminate_dead_code import EliminateDeadCode
from scfx.passes.explicit_shapes import ExplicitShapes
from scfx.passes.explicit_splits import ExplicitSplits
from scfx.passes.functionalize import Functionalize
from scfx.passes.inline_grad_mode import InlineGradMode
from scfx.passes.views_in_place import ViewsInPlace
from tests.passes.tools import Captured, check

PASSES = (InlineGradMode(), ViewsInPlace(), ExplicitSplits(), ExplicitShapes(), Functionalize(), EliminateDeadCode())


class Toy(nn.Module):
    """A model around one function of its weight `w` (4) and its input."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1.0, 2.0, 4, dtype=torch.float64))
        self.register_buffer("b", torch.linspace(1.0, 2.0, 4, dtype=torch.float64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def images(batch: int) -> tuple[Tensor, ...]:
    """A batch of (4, 4) matrices."""
    return (torch.randn(batch, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(batch)),)


def rewritten(function: Callable[..., Any], needs_grad: bool = True) -> Captured:
    """The functional form, which computes the same and writes to nothing but buffers and inputs."""
    result = check(Toy(function), images, PASSES, needs_grad=needs_grad)
    for node in result.graph.nodes:
        assert all(target.op in ("get_attr", "placeholder") for target in written(node)), node
    return result
