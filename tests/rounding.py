"""Adds rounding errors to a computation, to tell results that hang on the last bit from results that do not."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

SUMS = {
    "aten::convolution",
    "aten::convolution_backward",
    "aten::addmm",
    "aten::mm",
    "aten::bmm",
    "aten::mean",
    "aten::sum",
}
"""Operators that add many numbers, in an order that depends on how many there are."""


class Rounding(TorchDispatchMode):
    """While active, every sum of many numbers comes out wrong by a relative error of about `size`."""

    def __init__(self, size: float = 1e-15, seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.size = size
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._schema.name not in SUMS:
            return result
        return type(result)(map(self._round, result)) if isinstance(result, list | tuple) else self._round(result)

    def _round(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        return value * (1 + self.size * torch.randn(value.shape, dtype=value.dtype, generator=self.generator))
