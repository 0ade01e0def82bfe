"""A weight as whole numbers and scales, and any tensor of a network as an entry of the file, and back.

A weight that is quantized takes three tensors: `codes/NAME`, its whole numbers as `bits.py` packs them, `depths/NAME`,
how many bits those of each channel have, and `scales/NAME`, what they are multiplied by: 2^e, and not e, since not all
machines agree on the last bit of a power. The shape of the scales says which channels there are: it is the weight's
with 1 where channels don't differ; with one dimension more, the weight's first one is split by groups.
Anything else is `plain/NAME`, in its own dtype; complex numbers with their parts as a last dimension.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scfx.errors import CheckpointError
from scfx.files import limits
from scfx.files.bits import pack_bits, pack_widths, unpack_bits, unpack_widths
from scfx.files.values import named

_KINDS = ("parameter", "frozen", "buffer")


def packed(
    name: str, tensor: Tensor, scales: Tensor | None, widths: Sequence[int]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Returns what the graph's text says of a tensor, and the tensors of the file that hold it.

    Args:
        name: Its name in the state dict.
        tensor: The parameter or buffer.
        scales: What its whole numbers are multiplied by; None if it isn't quantized.
        widths: The bits of each channel's numbers.

    Raises:
        CheckpointError: It can't be held, or isn't what scales and bits say.
    """
    value = tensor.detach()
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise CheckpointError(f"{name} is sparse, without values, or quantized by torch, which a file can't hold")
    kind = ("parameter" if tensor.requires_grad else "frozen") if isinstance(tensor, nn.Parameter) else "buffer"
    record: dict[str, Any] = {"name": limits.path(name), "kind": kind}
    strides = value.stride()
    order = sorted(range(value.ndim), key=lambda dim: -strides[dim])
    if order != sorted(order) and not value.is_contiguous() and value.permute(order).is_contiguous():
        record["order"] = order
    value = value.to("cpu", copy=True).contiguous()
    if scales is None:
        if value.is_complex():
            record["complex"], value = True, torch.view_as_real(value.resolve_conj()).contiguous()
        return record, {f"plain/{name}": value.resolve_neg()}
    record |= {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch."), "quantized": True}
    try:
        data = pack_bits(whole_numbers(name, value, scales).numpy(), widths)
    except ValueError as error:
        raise CheckpointError(_changed(name)) from error
    return record, {
        f"codes/{name}": torch.from_numpy(data),
        f"depths/{name}": torch.from_numpy(pack_widths(widths)),
        f"scales/{name}": scales.to("cpu", copy=True).contiguous(),
    }


def whole_numbers(name: str, value: Tensor, scales: Tensor) -> Tensor:
    """Returns the whole numbers of a quantized weight by channel, int32: (channels, entries of each).

    Args:
        name: Its name in the state dict.
        value: The weight, in CPU memory, contiguous.
        scales: What its whole numbers are multiplied by.

    Raises:
        CheckpointError: It isn't whole numbers times scales, to the bit.
    """
    try:
        grid, channels, entries = grid_of(value.shape, scales.shape)
    except ValueError as error:
        raise CheckpointError(_changed(name)) from error
    ratio = (value.view(grid).double() / scales.cpu().double()).nan_to_num_(0, 0, 0).round_()
    codes = ratio.to(torch.int32).permute(channels_first(scales)).reshape(channels, entries)
    again = _decoded(codes.numpy(), grid, scales, value.dtype).view(value.shape)
    if not torch.equal(again, value) or not torch.equal(again.signbit(), value.signbit()):
        raise CheckpointError(_changed(name))
    return codes


def unpacked(record: Mapping[str, Any], tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor | None, list[int]]:
    """The opposite of `packed`: the tensor, its scales, the bits of its channels. Takes what it uses from `tensors`.

    Raises:
        CheckpointError: This is not what `packed` makes. Nothing has been allocated then.
    """
    name, kind = record["name"], record["kind"]
    widths: list[int] = []
    scales = None
    if record.get("quantized") is True:
        codes, depths, scales = (tensors.pop(f"{part}/{name}") for part in ("codes", "depths", "scales"))
        dtype = named("dtype", record["dtype"])
        if dtype is None or not dtype[0].is_floating_point or not scales.is_floating_point():
            raise CheckpointError(f"{name} can't be of dtype {str(record['dtype'])[:80]}")
        if any(each.dtype != torch.uint8 or each.ndim != 1 for each in (codes, depths)):
            raise CheckpointError(f"what is packed of {name} is not bytes")
        limits.entries(record["shape"])
        try:
            grid, channels, entries = grid_of(record["shape"], scales.shape)
        except ValueError as error:
            raise CheckpointError(f"{name}: {error}") from error
        widths = unpack_widths(depths.numpy(), channels)
        numbers = unpack_bits(codes.numpy(), widths, entries)
        value = _decoded(numbers, grid, scales, dtype[0]).view(record["shape"])
    else:
        value = tensors.pop(f"plain/{name}")
        if record.get("complex") is True:
            value = torch.view_as_complex(value)
    if (order := record.get("order")) is not None:
        value = value.permute(order).contiguous().permute([order.index(dim) for dim in range(value.ndim)])
    if kind not in _KINDS:
        raise CheckpointError(f"{name} is {str(kind)[:80]!r}, which is neither of {', '.join(_KINDS)}")
    return value if kind == "buffer" else nn.Parameter(value, kind == "parameter"), scales, widths


def grid_of(shape: Sequence[int], scales: Sequence[int]) -> tuple[tuple[int, ...], int, int]:
    """The weight's shape with groups apart, the number of channels, and of entries in each."""
    grid = tuple(shape)
    if len(scales) == len(shape) + 1 and shape and scales[0] and shape[0] % scales[0] == 0:
        grid = (scales[0], shape[0] // scales[0], *shape[1:])
    if len(scales) != len(grid) or any(one not in (1, size) for one, size in zip(scales, grid, strict=True)):
        raise ValueError(f"scales of shape {tuple(scales)} don't fit a weight of shape {tuple(shape)}")
    channels = math.prod(scales)
    return grid, channels, math.prod(grid) // max(1, channels)


def channels_first(scales: Tensor) -> list[int]:
    """The order of dimensions in which those that make channels come first."""
    return sorted(range(scales.ndim), key=lambda dim: scales.shape[dim] == 1)


def _decoded(codes: Any, grid: Sequence[int], scales: Tensor, dtype: torch.dtype) -> Tensor:
    """Whole numbers by channel, times scales, as the quantizer multiplies them."""
    order = channels_first(scales)
    numbers = torch.from_numpy(np.ascontiguousarray(codes)).view([grid[dim] for dim in order])
    numbers = numbers.permute([order.index(dim) for dim in range(len(order))]).contiguous()
    return (numbers.to(scales.dtype) * scales.cpu()).to(dtype)


def _changed(name: str) -> str:
    return (
        f"{name} is not what net.finalize() left: its entries aren't whole numbers of its bits times its scales. If it "
        f"was changed on purpose, take its name out of meta['scales'], and it is stored as it is"
    )
