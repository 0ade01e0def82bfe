"""The product with a matrix for each run of rows, as experts have, for any number of features.

Torch's own asks for rows of whole 16 bytes in memory, which channels that go would leave without.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_LIBRARY = torch.library.Library("scfx", "FRAGMENT")


def grouped_mm(input: Tensor, weight: Tensor, offs: Tensor) -> Tensor:
    """The product of each row with the matrix of its run.

    Args:
        input: The rows, (rows, features).
        weight: The matrices, (matrices, features, outputs).
        offs: For each matrix the end of its run of rows, (matrices).
    """
    if input.dtype == torch.float64:
        return _masked(input, weight, offs)
    more, made = missing(weight.shape[1], input.dtype), missing(weight.shape[2], input.dtype)
    if more or made:
        weight = functional.pad(weight, (0, made, 0, more))
    rows = functional.pad(input, (0, more)) if more else _aligned(input)
    result: Tensor = torch._grouped_mm(rows, _aligned(weight), offs=offs)
    # Gradients of a slice are laid out anew, as those of the product have to be.
    return result[:, : result.shape[1] - made]


def missing(size: int, dtype: torch.dtype) -> int:
    """How many features a row lacks to end with whole 16 bytes."""
    return -size % (16 // dtype.itemsize)


def _aligned(tensor: Tensor) -> Tensor:
    step = 16 // tensor.element_size()
    return tensor if all(stride == 1 or stride % step == 0 for stride in tensor.stride()) else tensor.contiguous()


def _masked(input: Tensor, weight: Tensor, offs: Tensor) -> Tensor:
    """In double precision, which torch's product does not take. Each matrix sees zeros in place of others' rows."""
    place = torch.arange(input.shape[0], device=input.device)[:, None]
    ends = offs.to(place.dtype)
    own = ((place >= functional.pad(ends, (1, -1))) & (place < ends)).to(input.dtype)
    return torch.stack([(input * own[:, n : n + 1]) @ weight[n] for n in range(weight.shape[0])]).sum(0)


_LIBRARY.define("grouped_mm(Tensor input, Tensor weight, Tensor offs) -> Tensor")
_LIBRARY.impl("grouped_mm", grouped_mm, "CompositeImplicitAutograd")

GROUPED = torch.ops.scfx.grouped_mm.default
