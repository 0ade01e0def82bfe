"""A limit to the formulas that sizes become during capture.

With free sizes every dimension is a formula in those of the inputs. A convolution or a pooling adds an operation or
two; a model that pads to whole windows at each stage multiplies them, until simplifying one formula takes minutes. Such
a model is captured with the batch size alone free, which keeps formulas short.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import SymInt, Tensor
from torch.overrides import TorchFunctionMode

from scfx.errors import CaptureError

LIMIT = 60
"""Operations in one formula. Sizes in chains of convolutions and poolings stay below 20; beyond 60 they explode."""


class ShortFormulas(TorchFunctionMode):
    """While active, raises a CaptureError when a size of what an operator returns is a longer formula than `LIMIT`."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            sizes: tuple[int | SymInt, ...] = tuple(result.shape)
            for size in sizes:
                if not isinstance(size, int) and size.node.expr.count_ops() > LIMIT:
                    raise CaptureError(f"a size has become a formula of more than {LIMIT} operations: {size}")
        return result
