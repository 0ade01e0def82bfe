"""Whole numbers, each channel's in its own number of bits, as a string of bytes, and back.

Channels come by their number of bits, the least first, and within one number as they are numbered. Each number is in
two's complement, its highest bit first. There is no gap between channels; the last byte is filled up with zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from scfx.errors import CheckpointError

#: The most bits a number can have: as many as a quantizer's.
MOST = 24

_FIVE = np.arange(4, -1, -1, dtype=np.uint8)


def pack_bits(codes: NDArray[np.int32], widths: Sequence[int]) -> NDArray[np.uint8]:
    """Returns the bytes.

    Args:
        codes: (channels, entries of each).
        widths: The bits of each channel, 0 to 24.

    Raises:
        ValueError: A number doesn't fit into its channel's bits.
    """
    entries = codes.shape[1]
    bits = np.zeros(sum(widths) * entries, np.uint8)
    for width, channels, place in _runs(widths, entries):
        part = codes[channels]
        if part.size and (part.min() < -(1 << width >> 1) or part.max() >= max(1, 1 << width >> 1)):
            raise ValueError(f"a number from {part.min()} to {part.max()} doesn't fit into {width} bits")
        run = bits[place].reshape(len(channels), entries, width)
        for bit in range(width):
            run[:, :, bit] = part >> (width - 1 - bit) & 1
    return np.packbits(bits)


def unpack_bits(data: NDArray[np.uint8], widths: Sequence[int], entries: int) -> NDArray[np.int32]:
    """The opposite of `pack_bits`: (channels, entries).

    Raises:
        CheckpointError: These bytes are none of so many numbers. Nothing has been allocated then.
    """
    if not all(0 <= width <= MOST for width in widths):
        raise CheckpointError(f"a number has {max(widths)} bits, and none can have more than {MOST}")
    total = sum(widths) * entries
    if len(data) != -(-total // 8):
        raise CheckpointError(f"{len(data):,} bytes don't hold what should be {total:,} bits")
    bits = np.unpackbits(data, count=total)
    codes = np.zeros((len(widths), entries), np.int32)
    for width, channels, place in _runs(widths, entries):
        run = bits[place].reshape(len(channels), entries, width)
        part = np.zeros((len(channels), entries), np.int32)
        for bit in range(width):
            part = part << 1 | run[:, :, bit]
        codes[channels] = part - (run[:, :, :1].sum(2, dtype=np.int32) << width)
    return codes


def pack_widths(widths: Sequence[int]) -> NDArray[np.uint8]:
    """Returns the bytes of these numbers of bits, five bits each, the highest first."""
    return np.packbits(np.asarray(widths, np.uint8)[:, None] >> _FIVE & 1)


def unpack_widths(data: NDArray[np.uint8], count: int) -> list[int]:
    """The opposite of `pack_widths`.

    Raises:
        CheckpointError: These bytes are none of so many numbers.
    """
    if len(data) != -(-5 * count // 8):
        raise CheckpointError(f"{len(data):,} bytes don't hold the numbers of bits of {count:,} channels")
    bits = np.unpackbits(data, count=5 * count).reshape(count, 5)
    widths: list[int] = (bits << _FIVE).sum(1).tolist()
    return widths


def _runs(widths: Sequence[int], entries: int) -> Iterator[tuple[int, NDArray[np.intp], slice]]:
    """Each number of bits that occurs: the channels that have it, and the place of their bits."""
    every, start = np.asarray(widths, np.int32), 0
    for width in sorted(set(widths)):
        channels = np.flatnonzero(every == width)
        stop = start + len(channels) * entries * width
        yield width, channels, slice(start, stop)
        start = stop
