"""A tracer that can read the code of a captured graph back: pickling a GraphModule stores its code, not its graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.overrides import TorchFunctionMode


class OperatorTracer(fx.Tracer):
    """Traces code made of ATen calls.

    The plain tracer runs what no traced value enters instead of recording it: it would advance the counter of a batch
    norm and forget to count from then on, freeze what `rand([3])` drew, and fail at `zeros([1, batch])`, whose traced
    batch size it does not see inside of the list.
    """

    proxy_buffer_attributes = True

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        """Return the graph of `root`'s code."""
        with _Recorder(self):
            return super().trace(root, concrete_args)


class _Recorder(TorchFunctionMode):
    """Records every call of an operator."""

    def __init__(self, tracer: fx.Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if isinstance(func, torch._ops.OpOverload):
            return self.tracer.create_proxy("call_function", func, args, kwargs or {})
        return func(*args, **(kwargs or {}))
