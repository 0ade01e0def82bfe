"""Between a tensor at full size and the part of it that pruning has left."""

import torch
from torch import Tensor

Kept = dict[str, tuple[Tensor, ...]]
"""For each parameter or buffer: the indices of the full-sized tensor that are left, for each dimension."""


def gather(full: Tensor, kept: tuple[Tensor, ...]) -> Tensor:
    """Return the entries of a full-sized tensor that are left."""
    for dim, indices in enumerate(kept):
        if len(indices) != full.shape[dim]:
            full = full.index_select(dim, indices)
    return full


def scatter(full: Tensor, kept: tuple[Tensor, ...], part: Tensor) -> Tensor:
    """Write the entries that are left into a full-sized tensor, in place, and return it."""
    dims = [dim for dim, indices in enumerate(kept) if len(indices) != full.shape[dim]]
    with torch.no_grad():
        if not dims:
            return full.copy_(part)
        # Later dimensions that are complete need no index; the others broadcast against each other.
        count = dims[-1] + 1
        index = tuple(kept[dim].view([-1 if d == dim else 1 for d in range(count)]) for dim in range(count))
        full[index] = part
    return full
