"""A tracer that can read the code of a captured graph back: pickling a GraphModule stores its code, not its graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree


class OperatorTracer(fx.Tracer):
    """Traces code made of ATen calls.

    The plain tracer misses a call in which no argument is itself a traced value, such as `zeros([1, batch])` with a traced
    batch size inside the list; there is one wherever a model makes a tensor of a size known at run time only.
    """

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        """Return the graph of `root`'s code."""
        with _Recorder(self):
            return super().trace(root, concrete_args)


class _Recorder(TorchFunctionMode):
    """Records every operator call that has a traced value anywhere in its arguments."""

    def __init__(self, tracer: fx.Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        traced = any(isinstance(leaf, fx.Proxy) for leaf in pytree.tree_leaves((args, named)))
        if traced and isinstance(func, torch._ops.OpOverload):
            return self.tracer.create_proxy("call_function", func, args, named)
        return func(*args, **named)
