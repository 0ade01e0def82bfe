"""Sums of two tensors that have different channels along one dim: where residual branches meet.

What a branch lacks it adds nothing to, and what the sum lacks is left out of the branch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

#: For each channel of an operand its place in the sum, -1 where the sum lacks it; the places rise. None: all of them.
Places = Sequence[int] | None

_LIBRARY = torch.library.Library("scfx", "FRAGMENT")


def merge(self: Tensor, other: Tensor, dim: int, size: int, self_at: Places = None, other_at: Places = None) -> Tensor:
    """The sum of two tensors whose channels along `dim` stand at given places among the `size` channels of the sum."""
    if self_at is None and other_at is None:
        return self + other
    dim %= self.dim()
    dtype = torch.promote_types(self.dtype, other.dtype)

    def index(places: Sequence[int]) -> Tensor:
        return torch.tensor(places, dtype=torch.int64, device=self.device)

    if self.stride(dim) != 1 or self.dim() == 2:
        return placed_sum(self, other, dim, size, self_at, other_at, index, self.dim(), dtype)
    # Rows of channels: torch is several times faster at picking columns of a matrix than at the same with more dims.
    rows = self.movedim(dim, -1)
    one, two = (each.movedim(dim, -1).flatten(0, -2) for each in (self, other))
    total = placed_sum(one, two, 1, size, self_at, other_at, index, 2, dtype)
    summed: Tensor = total.unflatten(0, rows.shape[:-1]).movedim(-1, dim)
    return summed


def placed_sum(
    self: Tensor,
    other: Tensor,
    dim: int,
    size: int,
    self_at: Places,
    other_at: Places,
    index: Callable[[Sequence[int]], Tensor],
    rank: int,
    dtype: torch.dtype,
) -> Tensor:
    """As `merge`, in operators of torch. It asks the tensors for nothing, so that a tracer may stand for them.

    Args:
        self, other, dim, size, self_at, other_at: As for `merge`; `dim` counts from the front.
        index: Makes a tensor of indices.
        rank, dtype: Of the sum.
    """
    one, two = (_present(each, dim, at, index) for each, at in ((self, self_at), (other, other_at)))
    at, its = (_places(at, size) for at in (self_at, other_at))
    if len(at) < len(its):
        one, two, at, its = two, one, its, at
    one, two = one.to(dtype), two.to(dtype)
    if len(at) < size:
        wider = functional.pad(one, (0, 0) * (rank - 1 - dim) + (0, size - len(at)))
        lacking = iter(range(len(at), size))
        numbers = dict(zip(at, range(len(at)), strict=True))
        one = wider.index_select(dim, index([numbers[n] if n in numbers else next(lacking) for n in range(size)]))
    return one + two if len(its) == size else one.index_add(dim, index(its), two)


def _present(tensor: Tensor, dim: int, at: Places, index: Callable[[Sequence[int]], Tensor]) -> Tensor:
    """The channels that the sum has, too."""
    if at is None or min(at, default=0) >= 0:
        return tensor
    return tensor.index_select(dim, index([number for number, place in enumerate(at) if place >= 0]))


def _places(at: Places, size: int) -> Sequence[int]:
    return range(size) if at is None else [place for place in at if place >= 0]


_SCHEMA = "merge(Tensor self, Tensor other, int dim, int size, int[]? self_at=None, int[]? other_at=None) -> Tensor"
_LIBRARY.impl(_LIBRARY.define(_SCHEMA), merge, "CompositeImplicitAutograd")

MERGE = torch.ops.scfx.merge.default
