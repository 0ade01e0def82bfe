"""Operators of other libraries that the rule table knows: theirs where installed, else one that does as much."""

from __future__ import annotations

import functools
import importlib
import importlib.util

import torch
from torch import Tensor

from tests import torchvision_shim


@functools.cache
def declare_foreign() -> None:
    """Make the operators of other libraries known to torch."""
    if importlib.util.find_spec("transformers") is not None:
        torchvision_shim.prepare()
        importlib.import_module("transformers.integrations.moe")
    else:
        name = "transformers::grouped_mm_fallback"
        torch.library.define(name, "(Tensor input, Tensor weight, Tensor offs) -> Tensor")
        torch.library.impl(name, "CompositeImplicitAutograd", _grouped_mm)


def _grouped_mm(input: Tensor, weight: Tensor, offs: Tensor) -> Tensor:
    """Each matrix takes the rows from the end of the last run to the end of its own; other rows stay zero."""
    made = input.new_zeros(len(input), weight.shape[2])
    start = 0
    for matrix, end in zip(weight, offs.tolist(), strict=True):
        rows = torch.arange(start, max(start, end))
        made = made.index_copy(0, rows, input[rows] @ matrix)
        start = end
    return made
