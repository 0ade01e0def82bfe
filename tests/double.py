"""Keeps a computation in double precision where a model asks for single: norms and softmaxes often do."""

from collections.abc import Mapping, Sequence
from contextlib import ContextDecorator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _Doubling(TorchFunctionMode):
    """Reads float32 as float64 in every call."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.Tensor.float:
            return args[0].double()
        named = {name: _doubled(value) for name, value in (kwargs or {}).items()}
        return func(*map(_doubled, args), **named)


def _doubled(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


class DoublePrecision(ContextDecorator):
    """While active, models compute in float64 throughout, also where they cast, and tensors are made in float64.

    A model in double precision whose norms compute in single is exact to seven digits only, which would hide mistakes.
    """

    def __enter__(self) -> None:
        self.default = torch.get_default_dtype()
        self.mode = _Doubling()
        torch.set_default_dtype(torch.float64)
        self.mode.__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *exception: Any) -> None:
        self.mode.__exit__(*exception)  # type: ignore[no-untyped-call]
        torch.set_default_dtype(self.default)
