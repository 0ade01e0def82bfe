"""What is known to be identically zero in a value: for each dimension, at which indices.

A fact about one dimension is kept by its row-major factors, so that heads and groups survive regrouping, and so that
nothing the size of a symbolic dimension is ever allocated. An index is zero if any factor says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd, prod

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

#: No mask is ever made over a dimension larger than this: it is a symbolic one, or has one for a factor.
LARGE = 2**26


@dataclass(frozen=True)
class Fact:
    """Zeros along one dimension: factor sizes, outermost first, and for each a mask, or None where nothing is known."""

    sizes: tuple[int, ...]
    masks: tuple[Mask | None, ...]

    @property
    def size(self) -> int:
        return prod(self.sizes)

    @property
    def covers(self) -> bool:
        """Whether every index is zero."""
        return any(mask is not None and bool(mask.all()) for mask in self.masks)

    def flat(self) -> Mask | None:
        """One mask over the whole dimension, or None where nothing is known."""
        if all(mask is None for mask in self.masks):
            return None
        if len(self.masks) == 1:
            return self.masks[0]
        if self.size > LARGE:
            return None
        filled = [np.zeros(n, bool) if mask is None else mask for n, mask in zip(self.sizes, self.masks, strict=True)]
        return reduce(lambda a, b: (a[:, None] | b[None, :]).reshape(-1), filled)


def unknown(size: int) -> Fact:
    """Nothing is known along a dimension of this size."""
    return Fact((size,), (None,))


def known(mask: Mask) -> Fact:
    """Exactly the marked indices are known to be zero."""
    return Fact((len(mask),), (mask if mask.any() else None,))


def everything(size: int) -> Fact:
    """All of a dimension is zero; of a symbolic one that can't be said."""
    return Fact((size,), (np.ones(size, bool) if size <= LARGE else None,))


@dataclass(frozen=True)
class Zeros:
    """What is known to be zero in one tensor: a fact for each dimension, and whether it is zero altogether."""

    dims: tuple[Fact, ...]
    whole: bool = False

    @staticmethod
    def of(dims: Iterable[Fact], whole: bool = False) -> Zeros:
        dims = tuple(dims)
        return Zeros(dims, whole or any(dim.covers for dim in dims))

    @property
    def anywhere(self) -> bool:
        """Whether any element is known to be zero."""
        return self.whole or any(mask is not None for dim in self.dims for mask in dim.masks)

    @staticmethod
    def unknown(shape: Sequence[int]) -> Zeros:
        return Zeros(tuple(unknown(size) for size in shape))

    def along(self, dim: int) -> Mask | None:
        """Flat mask of one dimension; all of it where the tensor is zero altogether."""
        if self.whole:
            return everything(self.dims[dim].size).flat()
        return self.dims[dim].flat()

    def fact(self, dim: int) -> Fact:
        """What is known along one dimension; all of it where the tensor is zero altogether."""
        return everything(self.dims[dim].size) if self.whole else self.dims[dim]

    def replaced(self, dim: int, fact: Fact) -> Zeros:
        return Zeros.of((*self.dims[:dim], fact, *self.dims[dim:][1:]), self.whole)


def alike(a: Zeros, b: Zeros) -> bool:
    """Whether two say the same in the same way."""
    return a is b or (
        a.whole == b.whole
        and all(x.sizes == y.sizes for x, y in zip(a.dims, b.dims, strict=True))
        and all(
            x is y or (x is not None and y is not None and np.array_equal(x, y))
            for one, other in zip(a.dims, b.dims, strict=True)
            for x, y in zip(one.masks, other.masks, strict=True)
        )
    )


def both(a: Fact, b: Fact) -> Fact:
    """Zero where both are (the rule for sums). Conservative where the two are factored differently."""
    if a.sizes == b.sizes:
        masks = (None if x is None or y is None else x & y for x, y in zip(a.masks, b.masks, strict=True))
        return Fact(a.sizes, tuple(masks))
    x, y = a.flat(), b.flat()
    return unknown(a.size) if x is None or y is None else known(x & y)


def either(a: Fact, b: Fact) -> Fact:
    """Zero where one of the two is (the rule for products)."""
    if a.sizes != b.sizes:
        if all(mask is None for mask in b.masks):
            return a
        if all(mask is None for mask in a.masks):
            return b
        x, y = a.flat(), b.flat()
        return known(x | y) if x is not None and y is not None else (a if x is not None else b)
    masks = (y if x is None else x if y is None else x | y for x, y in zip(a.masks, b.masks, strict=True))
    return Fact(a.sizes, tuple(masks))


def piece(fact: Fact, start: int, stop: int, step: int = 1) -> Fact:
    """What is known of a range of a dimension."""
    mask = fact.flat()
    # A dimension of several symbols can be longer than `len` can say of a range.
    return unknown(max(0, -((start - stop) // step))) if mask is None else known(mask[start:stop:step])


def chained(facts: Sequence[Fact]) -> Fact:
    """What is known of a concatenation."""
    size = sum(fact.size for fact in facts)
    masks = [fact.flat() for fact in facts]
    if size > LARGE or all(mask is None for mask in masks):
        return unknown(size)
    return known(
        np.concatenate([np.zeros(f.size, bool) if m is None else m for f, m in zip(facts, masks, strict=True)])
    )


def regroup(facts: Sequence[Fact], groups: Sequence[Sequence[int]]) -> tuple[Fact, ...]:
    """The same row-major index space seen through other dimensions, given as the factor sizes of each.

    A factor that has to be taken apart keeps of its mask what can be said of its parts alone.
    """
    source = [pair for fact in facts for pair in zip(fact.sizes, fact.masks, strict=True) if pair[0] != 1]
    result: list[Fact] = []
    for sizes in groups:
        pieces: list[tuple[int, Mask | None]] = []
        for size in sizes:
            left = size
            while left != 1 and source:
                n, mask = source.pop(0)
                shared = gcd(n, left)
                if shared == 1:  # the boundaries cross: nothing more is known of this stretch
                    return (*result, *(Fact(tuple(s), (None,) * len(s)) for s in groups[len(result) :]))
                if shared != n:
                    outer, inner = _apart(mask, shared, n // shared)
                    source.insert(0, (n // shared, inner))
                    mask = outer
                pieces.append((shared, mask))
                left //= shared
        result.append(Fact(tuple(n for n, _ in pieces) or (1,), tuple(mask for _, mask in pieces) or (None,)))
    return tuple(result)


def _apart(mask: Mask | None, outer: int, inner: int) -> tuple[Mask | None, Mask | None]:
    if mask is None:
        return None, None
    table = mask.reshape(outer, inner)
    parts = (table.all(axis=1), table.all(axis=0))
    return tuple(part if part.any() else None for part in parts)  # type: ignore[return-value]


def project(fact: Fact, sizes: Sequence[int]) -> tuple[Mask | None, ...]:
    """For each row-major factor of a dimension, the indices that are zero whatever the other factors are."""
    sizes = tuple(sizes)
    if fact.sizes == sizes:
        return fact.masks
    if len(sizes) == 1:
        return (fact.flat(),)
    if len(fact.sizes) == 1 and fact.masks[0] is None:
        return (None,) * len(sizes)
    return tuple(part.flat() for part in regroup([fact], [(size,) for size in sizes]))
