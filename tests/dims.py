"""Random dims for property tests: nested products and concatenations, ones and empty parts included."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import prod

import numpy as np

from scfx.graph.masks import occupied
from scfx.terms.dims import Dim, Pin, Var, concat, product, take, variables
from scfx.terms.facts import Mask
from scfx.terms.unify import fresh

WHY = Pin("test")

#: A dim written down without axes: a size, a product of several, a concatenation, or "@" for another dim's indices in
#: some order: that dim, how many indices, and a seed.
Shape = int | tuple[str, tuple["Shape", ...]]


def size_of(shape: Shape) -> int:
    if isinstance(shape, int):
        return shape
    sizes = [size_of(part) for part in shape[1]]
    if shape[0] == "@":
        return sizes[1]
    return prod(sizes) if shape[0] == "*" else sum(sizes)


def random_shape(size: int, rng: random.Random, depth: int = 3) -> Shape:
    """A random way to make up a dim of this size."""
    choice = rng.random()
    if depth == 0 or choice < 0.25:
        return size
    if choice < 0.6:
        divisors = [n for n in range(1, size + 1) if size % n == 0]
        outer = rng.choice(divisors) if size else 0
        rest = size // outer if outer else 3
        return ("*", (random_shape(outer, rng, depth - 1), random_shape(rest, rng, depth - 1)))
    if size and choice < 0.75:
        fewer = size if rng.random() < 0.6 else rng.randint(1, size)
        return ("@", (random_shape(fewer, rng, depth - 1), size, rng.randrange(10**6)))
    cut = rng.randint(0, size)
    return ("+", (random_shape(cut, rng, depth - 1), random_shape(size - cut, rng, depth - 1)))


def random_order(source: int, size: int, rng: random.Random) -> list[int]:
    """So many indices of a dim, each of its own among them; now and then something orderly."""
    order = [*range(source), *(rng.randrange(source) for _ in range(size - source))]
    kind = rng.random()
    if kind < 0.5:
        rng.shuffle(order)
    elif kind < 0.75:
        order.reverse()
    else:
        order.sort(key=lambda index: index % 2)
    return order


def build(shape: Shape, axis: Callable[[int], Dim] = fresh) -> Dim:
    """A dim of this shape, with an axis made for each size."""
    if isinstance(shape, int):
        return axis(shape)
    if shape[0] == "@":
        source, size, seed = shape[1]
        assert isinstance(size, int)
        assert isinstance(seed, int)
        return take(build(source, axis), random_order(size_of(source), size, random.Random(seed)))
    parts = tuple(build(part, axis) for part in shape[1])
    return product(*parts) if shape[0] == "*" else concat(*parts)


class Pool:
    """Makes axes, and now and then gives one out again that it has made before, as shared weights do."""

    def __init__(self, rng: random.Random, pinned: float = 0.1, shared: float = 0.3) -> None:
        self.made: list[Dim] = []
        self._rng, self._pinned, self._shared = rng, pinned, shared

    def __call__(self, size: int) -> Dim:
        old = [dim for dim in self.made if dim.size == size]
        if old and self._rng.random() < self._shared:
            return self._rng.choice(old)
        dim = fresh(size, Pin("pinned at first") if self._rng.random() < self._pinned else None)
        self.made.append(dim)
        return dim


def random_masks(dims: list[Dim], rng: random.Random) -> dict[Var, Mask]:
    """Random channels to keep of every axis that isn't pinned."""
    axes = dict.fromkeys(axis for dim in dims for axis in variables(dim) if axis.pin is None)
    return {axis: np.array([rng.random() < 0.6 for _ in range(axis.size)]) for axis in axes}


def free_channels(dims: list[Dim]) -> frozenset[frozenset[tuple[int, int]]]:
    """What unification has decided: for each channel that may go, which indices of which dims it occupies."""
    axes = dict.fromkeys(axis for dim in dims for axis in variables(dim) if axis.pin is None)
    return frozenset(
        frozenset((n, int(i)) for n, dim in enumerate(dims) for i in np.flatnonzero(occupied(dim, axis, channel)))
        for axis in axes
        for channel in range(axis.size)
    )
