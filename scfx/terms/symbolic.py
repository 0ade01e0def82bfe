"""Sizes that are only known at run time: large numbers stand for them, which no message shows."""

from __future__ import annotations

import sys

#: The smallest stand-in for a symbolic size: a prime so large that no dimension of a real tensor comes near it, even if
#: strides and poolings have divided it by some thousand.
FIRST_PRIME = 2**40 + 15
#: From here on a size is a stand-in, or made from one.
_SYMBOLIC = 2**31


def is_symbolic(size: int) -> bool:
    """Say whether `size` stands for a size that is only known at run time, such as the batch size.

    The largest int64, which `slice` uses for "to the end", is not a size and so is not symbolic.
    """
    return _SYMBOLIC <= size != sys.maxsize


def size_text(size: int) -> str:
    """A size; "any" where it is known at run time only."""
    return "any" if is_symbolic(size) else f"{size:,}"


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as sizes: "(any, 3, 8)"."""
    return f"({', '.join(map(size_text, shape))})"


def of_size(size: int) -> str:
    """What a dim is of: "size 8", or "a size that varies"."""
    return "a size that varies" if is_symbolic(size) else f"size {size_text(size)}"
