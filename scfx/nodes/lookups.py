"""Operators that pick or replace indices of one dim, where the indices are written down in the call.

No operator of torch takes them as plain numbers, which a plan can change when channels go. They count from 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_LIBRARY = torch.library.Library("scfx", "FRAGMENT")


def take(self: Tensor, dim: int, index: list[int]) -> Tensor:
    """The indices of one dim that a list names, in its order."""
    return self.index_select(dim, torch.tensor(index, dtype=torch.int64, device=self.device))


def put(self: Tensor, src: Tensor, dim: int, index: list[int]) -> Tensor:
    """A copy in which another tensor stands at the named indices of one dim, which must differ."""
    return self.index_copy(dim, torch.tensor(index, dtype=torch.int64, device=self.device), src)


def part(self: Tensor, dim: int, index: list[int] | None = None) -> Tensor:
    """The indices of one dim that a list names; without one the tensor itself.

    To the analysis the dim of the result is an axis of its own: it loses channels without its source.
    """
    return self if index is None else take(self, dim, index)


_OPERATORS = (
    ("take(Tensor self, int dim, int[] index) -> Tensor", take),
    ("part(Tensor self, int dim, int[]? index=None) -> Tensor", part),
    ("put(Tensor self, Tensor src, int dim, int[] index) -> Tensor", put),
)

for _schema, _function in _OPERATORS:
    _LIBRARY.impl(_LIBRARY.define(_schema), _function, "CompositeImplicitAutograd")

TAKE = torch.ops.scfx.take.default
PART = torch.ops.scfx.part.default
PUT = torch.ops.scfx.put.default

#: Each operator, and the one of torch that is given the indices as a tensor.
PLAIN: dict[object, Callable[..., Tensor]] = {
    TAKE: torch.ops.aten.index_select.default,
    PART: torch.ops.aten.index_select.default,
    PUT: torch.ops.aten.index_copy.default,
}
