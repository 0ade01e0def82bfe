"""The quantizer's formula, for all channels of a weight at once, and its gradient.

From "Self-Compressing Neural Networks" (arXiv 2301.13142), of real depth b >= 0 and real exponent e:

    q(x, b, e) = 2^e * round(clamp(2^-e * x, -2^(b-1), 2^(b-1) - 1))

Rounding goes to the nearest integer, ties to even, and has gradient 1.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from scfx.errors import InputError


class _Quantize(torch.autograd.Function):
    """The quantizer's formula and its gradient, on scale, inverse scale and bounds that `grid` has computed.

    Of the size of the weight it saves nothing but the weight, and backward computes the rest once more. It works in
    place and without booleans, which cost several times as much on a CPU.
    """

    @staticmethod
    def forward(weight: Tensor, bits: Tensor, exponent: Tensor, *grid: Tensor) -> Tensor:
        scale, inverse, low, high = grid
        codes = torch.mul(weight, inverse).clamp_min_(low).clamp_max_(high).round_()
        return codes.mul_(scale).to(weight.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weight, _, _, *grid = inputs
        ctx.save_for_backward(weight, *grid)

    @staticmethod
    @once_differentiable  # a straight-through gradient has no meaningful gradient of its own: an error is better
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, scale, inverse, low, high = ctx.saved_tensors
        slope = scale * math.log(2)  # of the scale, by e
        side = torch.mul(weight, inverse)
        code = side.clamp_min(low).clamp_max_(high)
        side.sub_(code).sign_()  # 1 above the range, -1 below it, 0 inside
        inside = side.square().neg_().add_(1)
        grad_weight = grad_bits = grad_exponent = None
        if ctx.needs_input_grad[0]:
            grad_weight = (grad * inside).to(weight.dtype)
        if ctx.needs_input_grad[1]:
            # By b the upper bound has the slope 2^(b-1) ln 2 and the lower one its negative.
            grad_bits = side.mul_(grad).sum_to_size(scale.shape).mul_(slope).mul_(-low).reshape(-1)
        if ctx.needs_input_grad[2]:
            # The scale multiplies the code and, inside the range, divides the weight.
            moved = inside.mul_(code).neg_().add_(code.round_())
            grad_exponent = moved.mul_(grad).sum_to_size(scale.shape).mul_(slope).reshape(-1)
        return grad_weight, grad_bits, grad_exponent, None, None, None, None


@torch.no_grad()
def grid(
    bits: Tensor, exponent: Tensor, silent: Tensor, shape: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns scale 2^e, its inverse and the two clamp bounds, each of the broadcastable `shape`.

    Both scales of a silent channel are zero, which puts every entry at 0, outside its bounds (-0.5, -0.5): no entry
    of it passes a gradient on, and no entry of it can be anything but zero.
    """
    half = torch.exp2(bits.masked_fill(silent, 0) - 1).view(shape)
    scale = torch.exp2(exponent).masked_fill_(silent, 0).view(shape)
    inverse = torch.exp2(-exponent).masked_fill_(silent, 0).view(shape)
    return scale, inverse, -half, half - 1


@torch.compiler.allow_in_graph  # type: ignore[untyped-decorator]
def quantize(weight: Tensor, bits: Tensor, exponent: Tensor, silent: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Returns the quantized weight; for torch.compile this is one call, which it looks into only to make kernels.

    Followed line by line, the autograd function alone would take longer to compile than the rest of a network.
    """
    quantized: Tensor = _Quantize.apply(weight, bits, exponent, *grid(bits, exponent, silent, shape))  # type: ignore[no-untyped-call]
    return quantized


def grouped(weight: Tensor, dims: tuple[int, ...], channels: int) -> tuple[Tensor, tuple[int, ...]]:
    """Returns a view of the weight in which each (b, e) pair has an index of its own, and the pairs' shape against it.

    The number of groups is read off the sizes, since pruning may remove whole groups.
    """
    shape = tuple(size if dim in dims else 1 for dim, size in enumerate(weight.shape))
    size = math.prod(shape)
    if channels == size:
        return weight, shape
    groups = channels // size if size else 0
    if 0 in dims or not groups or groups * size != channels or weight.shape[0] % groups:
        raise InputError(
            f"a quantizer of {channels} channels along {named_dims(dims)} was given a weight of shape "
            f"{tuple(weight.shape)}; slice its `bits`, `exponent` and `dead` together with the weight"
        )
    return weight.unflatten(0, (groups, -1)), (groups, *shape)


def named_dims(dims: tuple[int, ...]) -> str:
    """Returns "dim 1" or "dims 0 and 1"."""
    return f"dim {dims[0]}" if len(dims) == 1 else f"dims {' and '.join(map(str, dims))}"


def reference_quantize(weight: Tensor, bits: Tensor, exponent: Tensor, dims: int | tuple[int, ...]) -> Tensor:
    """Returns what a quantizer without silent channels does, in plain differentiable torch: the definition to test by.

    Arguments are as in `Quantizer`; `bits` and `exponent` are 1-D. Backward keeps several copies of the weight.
    """
    x, shape = grouped(weight, (dims,) if isinstance(dims, int) else dims, bits.numel())
    b, e = bits.view(shape), exponent.view(shape)
    clamped = torch.clamp(2.0**-e * x, -(2.0 ** (b - 1)), 2.0 ** (b - 1) - 1)
    rounded = clamped + (clamped.round() - clamped).detach()
    return (2.0**e * rounded).reshape(weight.shape)
