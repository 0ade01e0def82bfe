"""The quantizer: one learned (bit depth, exponent) pair for each output channel of one weight.

A channel whose depth reaches zero is *dead*: its weights are exactly zero (of either sign), nothing flows back into its
weights, depth or exponent, and it never comes back. So a dead channel that is still there trains exactly like one that
has been removed.

What is not finite is never repaired: a NaN depth is neither dead nor alive, it makes the channel's weights NaN, where
the caller's loss shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from scfx.errors import InputError, ModelError
from scfx.nodes.fake_quantize import grid, grouped, named_dims, quantize
from scfx.nodes.first_exponents import first_exponents

MIN_START_BITS = 2.0
"""Below two bits no positive integer is left in the range, so that no exponent covers a weight's largest entry."""

MAX_BITS = 24.0
"""A float32 has 24 significant bits: more depth would cost size, add no value, and leave the codes inexact."""


class Quantizer(nn.Module):
    """Quantizes one weight with one learned bit depth and exponent for each of its output channels.

    Args:
        weight: the float weight to start from, of any device and memory format. It is read, not kept.
        dims: its output dimension, or several: pairs are then for each of their indices taken together, as for each
            (expert, out) of the weights of experts, the last dim's index running fastest.
        groups: more than 1 only for grouped transposed convolutions, whose weight is ((groups in), out, *k) with dim 1:
            pairs are then for each (group, out), and channel g * out + o is output o of group g.
        bits: the depth all channels start with, at least 2 and at most `MAX_BITS`.

    Attributes:
        bits, exponent: 1-D parameters, one entry a channel, on the weight's device and of its dtype, but never narrower
            than float32: the small steps of a depth near 8 would be lost in a half-precision number.
        dead: 1-D bool buffer, true for good once `bound_quantizers_` has seen the channel's depth at zero.

    Raises:
        ModelError: the weight is not floating-point, or not finite.
        InputError: `dims`, `groups` or `bits` do not fit the weight.
    """

    bits: nn.Parameter
    exponent: nn.Parameter
    dead: Tensor

    def __init__(self, weight: Tensor, dims: int | tuple[int, ...], groups: int = 1, bits: float = 8.0) -> None:
        super().__init__()
        if not weight.is_floating_point():
            raise ModelError(f"only floating-point weights can be quantized, and this one is {weight.dtype}")
        dims = (dims,) if isinstance(dims, int) else dims
        for dim in dims:
            if not -weight.dim() <= dim < weight.dim():
                raise InputError(f"a weight of shape {tuple(weight.shape)} has no dim {dim}")
        if not MIN_START_BITS <= bits <= MAX_BITS:
            raise InputError(f"a quantizer starts with {MIN_START_BITS:g} to {MAX_BITS:g} bits, not {bits}")
        self.dims = tuple(sorted({dim % weight.dim() for dim in dims}))
        if groups != 1 and (0 in self.dims or groups < 1 or weight.shape[0] % groups):
            raise InputError(
                f"groups={groups} needs a first dim that makes no outputs, of a size divisible by it; "
                f"this weight has shape {tuple(weight.shape)} and outputs along {named_dims(self.dims)}"
            )
        values = weight.detach().to(torch.promote_types(weight.dtype, torch.float32))
        if not values.is_meta and not torch.isfinite(values).all():
            raise ModelError("a weight with NaN or infinite entries cannot be quantized")
        values, shape = grouped(values, self.dims, groups * math.prod(weight.shape[dim] for dim in self.dims))
        exponent = first_exponents(values, shape, bits)
        self.bits = nn.Parameter(torch.full_like(exponent, bits))
        self.exponent = nn.Parameter(exponent)
        self.register_buffer("dead", torch.zeros_like(exponent, dtype=torch.bool))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Quantizer:
        """Moves and casts as any module does, but `half()` and `bfloat16()` leave depths and exponents in float32."""

        def wide(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            narrow = moved.is_floating_point() and moved.dtype.itemsize < 4
            return tensor.to(moved.device, torch.float32) if narrow else moved

        return super()._apply(wide, recurse)  # type: ignore[no-untyped-call,no-any-return]

    def forward(self, weight: Tensor) -> Tensor:
        """Returns the quantized weight, of the same shape, dtype and memory format.

        Args:
            weight: the weight, or the whole of what is left of it: its sizes and the number of pairs must fit.
        """
        x, shape = grouped(weight, self.dims, self.bits.numel())
        quantized: Tensor = quantize(x, self.bits, self.exponent, self.silent(), shape)
        return quantized if x is weight else quantized.flatten(0, 1)

    def silent(self) -> Tensor:
        """Returns, as a 1-D bool tensor, the channels whose quantized weights are zero whatever the weights are."""
        return self.dead | (self.bits <= 0)

    def depth(self) -> Tensor:
        """Returns `bits` (1-D, differentiable) for use in a size: silent channels count 0 and receive no gradient."""
        return self.bits.masked_fill(self.silent(), 0)

    @torch.no_grad()
    def level_bounds(self) -> tuple[Tensor, Tensor]:
        """Returns the least and the greatest code of each channel (1-D, int32), both 0 for a silent channel."""
        half = torch.exp2(self.depth() - 1)
        low, high = (bound.round().to(torch.int32) for bound in (-half, half - 1))
        return low, high

    @torch.no_grad()
    def storage_bits(self) -> Tensor:
        """Returns the whole bits (1-D, int32) that one code of each channel needs, in two's complement.

        The count is made on the integers that can occur, so it is at most ceil(b) and often less: at b = 2.3 the codes
        are -2 .. 1, two bits; at b = 0.01 they are -1 and 0, one bit; a silent channel needs none.
        """
        low, high = self.level_bounds()
        width = torch.zeros_like(low)
        for bit in range(int(MAX_BITS)):
            width += high - low >= 2**bit
        return width

    @torch.no_grad()
    def integers(self, weight: Tensor) -> Tensor:
        """Returns the weight's codes (int32, its shape); times `scale(weight)` they are the quantized weight."""
        x, shape = grouped(weight, self.dims, self.bits.numel())
        _, inverse, low, high = grid(self.bits, self.exponent, self.silent(), shape)
        codes = torch.mul(x, inverse).clamp_min_(low).clamp_max_(high).round_().to(torch.int32)
        return codes if x is weight else codes.flatten(0, 1)

    @torch.no_grad()
    def scale(self, weight: Tensor) -> Tensor:
        """Returns 2^e in a shape that broadcasts against the weight; silent channels have scale 0."""
        x, scale = grouped(weight, self.dims, self.bits.numel())[0], self.scales(weight)
        return scale if x is weight else scale.expand(-1, x.shape[1], *(-1,) * (x.dim() - 2)).flatten(0, 1)

    @torch.no_grad()
    def scales(self, weight: Tensor) -> Tensor:
        """Returns 2^e, an entry for each channel: of the weight's rank, or with groups of one more, at the front."""
        shape = grouped(weight, self.dims, self.bits.numel())[1]
        return grid(self.bits, self.exponent, self.silent(), shape)[0]

    def extra_repr(self) -> str:
        return f"channels={self.bits.numel()}, dims={self.dims}"


@torch.no_grad()
def bound_quantizers_(quantizers: Iterable[Quantizer]) -> bool:
    """Brings depths back into 0 .. `MAX_BITS` and latches channels at zero as dead, after each optimizer step.

    Dead channels are held at depth 0, whatever the optimizer's momentum does. An infinite depth becomes NaN, and NaN
    stays: clamping it would kill or revive the channel in silence. Exponents are left as they are.

    As one vector for each device and dtype the depths take a few calls and not some ten for each quantizer; each device
    is waited for once.

    Returns:
        Whether any channel has just died.
    """
    alike: dict[tuple[torch.device, torch.dtype], list[Quantizer]] = {}
    for quantizer in quantizers:
        alike.setdefault((quantizer.bits.device, quantizer.bits.dtype), []).append(quantizer)
    died = []
    for group in alike.values():
        sizes = [quantizer.bits.numel() for quantizer in group]
        bits, dead = torch.cat([q.bits for q in group]), torch.cat([q.dead for q in group])
        nan_unless_finite = bits * 0
        bits = bits.clamp(0, MAX_BITS).add_(nan_unless_finite).masked_fill_(dead, 0)
        zero = bits == 0
        torch._foreach_copy_([q.bits for q in group], bits.split(sizes))
        torch._foreach_copy_([q.dead for q in group], zero.split(sizes))
        died.append((zero != dead).any())
    return any(died)
