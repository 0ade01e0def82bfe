"""Norms and means that divide by the number of channels the model had at first.

A channel that is zero adds nothing to a sum, so a mean over the kept channels is the original mean if it still divides
by the original count. A variance also loses the removed channels' own distance from the mean: (count - kept) * mean^2
is put back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import prod
from typing import Any

import torch
from torch import Tensor

_LIBRARY = torch.library.Library("scfx", "DEF")


def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: None,
    running_var: None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
    count: int,
) -> Tensor:
    """Batch norm that remembers no statistics, and takes them of `count` places of each sample."""
    flat = input.reshape(input.shape[0], input.shape[1], -1)
    samples = flat.shape[0]
    result = _normalize(flat, [0, 2], count * samples, flat.shape[2] * samples, eps)
    if weight is not None:
        result = result * weight.reshape(-1, 1)
    if bias is not None:
        result = result + bias.reshape(-1, 1)
    return result.reshape(input.shape).to(input.dtype)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    cudnn_enabled: bool,
    count: int,
) -> Tensor:
    """Group norm of (batch, channels, *space) whose statistics count `count` channels in each group."""
    grouped = input.reshape(input.shape[0], num_groups, input.shape[1] // num_groups, -1)
    space = grouped.shape[3]
    result = _normalize(grouped, [2, 3], count * space, grouped.shape[2] * space, eps)
    if weight is not None:
        result = result * weight.reshape(num_groups, -1, 1)
    if bias is not None:
        result = result + bias.reshape(num_groups, -1, 1)
    return result.reshape(input.shape).to(input.dtype)


def layer_norm(
    input: Tensor,
    normalized_shape: list[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    cudnn_enable: bool,
    count: int,
) -> Tensor:
    """Layer norm over the last dims, whose statistics count `count` elements."""
    result = _normalize(input, list(range(-len(normalized_shape), 0)), count, prod(normalized_shape), eps)
    if weight is not None:
        result = result * weight
    return (result if bias is None else result + bias).to(input.dtype)


def rms_norm(input: Tensor, normalized_shape: list[int], weight: Tensor | None, eps: float, count: int) -> Tensor:
    """Root mean square norm over the last dims, whose mean counts `count` elements."""
    dims = list(range(-len(normalized_shape), 0))
    result = input * torch.rsqrt((input * input).sum(dims, keepdim=True) / count + eps)
    return (result if weight is None else result * weight).to(input.dtype)


def mean(
    self: Tensor,
    dim: list[int] | None = None,
    keepdim: bool = False,
    *,
    kept: int,
    count: int,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Mean over some dims (None: all) that divides by `count` where only `kept` are left."""
    average = self.mean(dtype=dtype) if dim is None else self.mean(dim, keepdim, dtype=dtype)
    return average * (kept / count)


def var(
    self: Tensor,
    dim: list[int],
    keepdim: bool = False,
    *,
    correction: float | None = None,
    unbiased: bool = True,
    kept: int,
    count: int,
) -> Tensor:
    """Variance over some dims, which had `count` indices where `kept` are left."""
    present = prod(self.shape[d] for d in dim)
    total = present * count // kept
    less = correction if correction is not None else int(unbiased)
    average = self.sum(dim, keepdim=True) / total
    centred = self - average
    squares = (centred * centred).sum(dim, keepdim=True) + (total - present) * (average * average)
    result = squares / (total - less)
    return result if keepdim else result.squeeze(tuple(dim))


def std(
    self: Tensor,
    dim: list[int],
    keepdim: bool = False,
    *,
    correction: float | None = None,
    unbiased: bool = True,
    kept: int,
    count: int,
) -> Tensor:
    """Standard deviation over some dims, which had `count` indices where `kept` are left; at zero without a slope."""
    square = var(self, dim, keepdim, correction=correction, unbiased=unbiased, kept=kept, count=count)
    still = square.eq(0)
    return square.masked_fill(still, 1.0).sqrt().masked_fill(still, 0.0)


def _normalize(input: Tensor, dims: list[int], count: int, kept: int, eps: float) -> Tensor:
    average = input.sum(dims, keepdim=True) / count
    centred = input - average
    variance = ((centred * centred).sum(dims, keepdim=True) + (count - kept) * (average * average)) / count
    return centred * torch.rsqrt(variance + eps)


_OPERATORS: tuple[tuple[str, Callable[..., Tensor]], ...] = (
    (
        "batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var,"
        " bool training, float momentum, float eps, bool cudnn_enabled, SymInt count) -> Tensor",
        batch_norm,
    ),
    (
        "group_norm(Tensor input, SymInt num_groups, Tensor? weight, Tensor? bias, float eps, bool cudnn_enabled,"
        " SymInt count) -> Tensor",
        group_norm,
    ),
    (
        "layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, Tensor? bias, float eps,"
        " bool cudnn_enable, SymInt count) -> Tensor",
        layer_norm,
    ),
    (
        "rms_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, float eps, SymInt count) -> Tensor",
        rms_norm,
    ),
    (
        "mean(Tensor self, int[]? dim=None, bool keepdim=False, *, SymInt kept, SymInt count,"
        " ScalarType? dtype=None) -> Tensor",
        mean,
    ),
    *(
        (
            f"{name}(Tensor self, int[] dim, bool keepdim=False, *, Scalar? correction=None, bool unbiased=True,"
            " SymInt kept, SymInt count) -> Tensor",
            function,
        )
        for name, function in (("var", var), ("std", std))
    ),
)

#: Each counted operator and the plain torch code it stands for.
IMPLEMENTATIONS: dict[str, Callable[..., Tensor]] = {}


def _as_torch_has_it(function: Callable[..., Tensor], norm: bool) -> Callable[..., Tensor]:
    """The function in half precision: it computes in single, and returns the dtype that torch's own operator does."""

    @wraps(function)
    def wide(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if norm and input.is_cuda and torch.is_autocast_enabled("cuda"):
            return function(input.float(), *args, **kwargs)
        if input.dtype not in (torch.float16, torch.bfloat16):
            return function(input, *args, **kwargs)
        return function(input.float(), *args, **kwargs).to(input.dtype)

    return wide


for _schema, _function in _OPERATORS:
    _name = _LIBRARY.define(_schema)
    # Autocast on CUDA casts to single precision for these, on other devices and for other operators for none.
    _norm = _function in (group_norm, layer_norm, rms_norm)
    _LIBRARY.impl(_name, _as_torch_has_it(_function, _norm), "CompositeImplicitAutograd")
    IMPLEMENTATIONS[f"scfx.{_name}.default"] = _function
