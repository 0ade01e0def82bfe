"""Dims whose indices are single channels of axes: any two of them can be lined up, and any part of one taken.

Where each index of a dim belongs to one channel at most, the dim is a list of channels, and order is no obstacle. This
is how permutations, strided slices and lookups are followed; terms (`scfx.dims`) are what comes of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scfx.dims import NOTHING, ONE, Concat, Dim, Product, Take, Var, apart, concat, fresh, product, resolve, take

#: Above this many indices (a symbolic size, say) a dim isn't looked at channel by channel.
MAX_PLACES = 2**20

Indices = NDArray[np.int64]


class _Places:
    """Numbers for the channels of the axes of some dims: those of an axis follow each other."""

    def __init__(self) -> None:
        self.starts: dict[Var, int] = {}
        self.count = 0

    def of(self, dim: Dim) -> Indices | None:
        """For each index of a resolved dim the number of its channel, -1 for none; None: some index has several."""
        if dim.size > MAX_PLACES:
            return None
        if isinstance(dim, Var):
            if dim not in self.starts:
                self.starts[dim] = self.count
                self.count += dim.size
            return np.arange(dim.size) + self.starts[dim]
        parts = [self.of(part) for part in dim.parts]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        if isinstance(dim, Take):
            return known[0][dim.order]
        if isinstance(dim, Concat):
            return np.concatenate(known) if known else np.zeros(0, np.int64)
        return _product(known)


def _product(factors: Sequence[Indices]) -> Indices | None:
    """The row-major product of factors of which one at most has channels."""
    if sum(bool((factor >= 0).any()) for factor in factors) > 1:
        return None
    result = np.full(1, -1, np.int64)
    for factor in factors:
        result = np.maximum(result[:, None], factor[None, :]).reshape(-1)
    return result


def merge(a: Dim, b: Dim) -> bool:
    """Makes two dims one, channel by channel; False, and nothing is done, if an index of either has several channels.

    Channels that meet become one. The axes are then made anew, as coarse as can be: two channels are of one axis if the
    same axes of before had a part in them.
    """
    places = _Places()
    left, right = places.of(resolve(a)), places.of(resolve(b))
    if left is None or right is None:
        return False
    if np.array_equal(left, right):
        return True
    classes = _classes(places.count + 1, left + 1, right + 1)[1:]
    _renew(places, classes)
    return True


def _classes(count: int, left: Indices, right: Indices) -> Indices:
    """For each of so many numbers the smallest one that it is connected with by the pairs."""
    labels = np.arange(count)
    while True:
        smaller = np.minimum(labels[left], labels[right])
        found = labels.copy()
        for numbers in (left, right, labels[left], labels[right]):
            np.minimum.at(found, numbers, smaller)
        found = found[found]
        if np.array_equal(found, labels):
            return labels
        labels = found


def _renew(places: _Places, classes: Indices) -> None:
    """Links each axis to new ones, whose channels are the classes. Class 0 are indices that can't go."""
    own = {axis: classes[start : start + axis.size] for axis, start in places.starts.items()}
    names = np.unique(classes[classes > 0])
    touched = np.array([np.isin(names, mine) for mine in own.values()])
    kinds, kind_of = np.unique(touched, axis=1, return_inverse=True)
    kind_of = kind_of.reshape(-1)
    made: list[Dim] = []
    rank = np.zeros(len(names), np.int64)
    for number, kind in enumerate(kinds.T):
        pins = [axis.pin for axis, part in zip(own, kind, strict=True) if part and axis.pin is not None]
        members = np.flatnonzero(kind_of == number)
        rank[members] = np.arange(len(members))
        made.append(fresh(len(members), pins[0] if pins else None))
    for axis, mine in own.items():
        position = np.searchsorted(names, mine)
        free = mine > 0
        used = list(dict.fromkeys(kind_of[position[free]].tolist()))
        parts = [made[kind] for kind in used]
        starts = np.zeros(len(made), np.int64)
        starts[used] = np.cumsum([0, *(part.size for part in parts)])[:-1]
        order = np.full(len(mine), sum(part.size for part in parts))
        order[free] = starts[kind_of[position[free]]] + rank[position[free]]
        axis.link = take(concat(*parts, NOTHING if free.all() else ONE), order)


def pick(dim: Dim, indices: Sequence[int] | Indices) -> Dim | None:
    """The dim of some indices of another one, in their order; some may be named more than once.

    Axes are split so that what is picked consists of whole ones. None: some axis can't be split like this.
    """
    dim, chosen = resolve(dim), np.asarray(indices, np.int64)
    if not len(chosen):
        return NOTHING
    if len(np.unique(chosen)) == dim.size:
        return take(dim, chosen)
    places = _Places()
    own = places.of(dim)
    if own is None:
        return _pick_inside(dim, chosen)
    wanted = own[chosen]
    parts: list[Dim] = []
    index = np.zeros(len(chosen), np.int64)
    size = 0
    for axis, start in places.starts.items():
        here = (wanted >= start) & (wanted < start + axis.size)
        channels, rank = np.unique(wanted[here] - start, return_inverse=True)
        if len(channels):
            parts.append(_part(axis, channels))
            index[here] = rank.reshape(-1) + size
            size += len(channels)
    index[wanted < 0] = size
    return take(concat(*parts, ONE if (wanted < 0).any() else NOTHING), index)


def _part(axis: Var, channels: Indices) -> Dim:
    """Some channels of an axis, which is split for it."""
    if len(channels) == axis.size:
        return axis
    rest = np.setdiff1d(np.arange(axis.size), channels)
    part, other = fresh(len(channels), axis.pin), fresh(len(rest), axis.pin)
    axis.link = take(concat(part, other), np.concatenate([channels, rest]).argsort())
    return part


def _pick_inside(dim: Dim, chosen: Indices) -> Dim | None:
    if isinstance(dim, Take):
        return pick(dim.source, dim.order[chosen])
    if isinstance(dim, Var):
        return None
    distinct, rank = np.unique(chosen, return_inverse=True)
    found: list[Dim | None]
    if isinstance(dim, Product):
        lists = apart(distinct, [part.size for part in dim.parts]) if dim.size <= MAX_PLACES else None
        if lists is None:
            return None
        found = [pick(part, indices) for part, indices in zip(dim.parts, lists, strict=True)]
        join = product
    else:
        ends = np.cumsum([part.size for part in dim.parts])
        bounds = np.searchsorted(distinct, [0, *ends])
        starts = [0, *ends[:-1]]
        pairs = zip(dim.parts, starts, bounds, bounds[1:], strict=False)
        found = [pick(part, distinct[low:high] - start) for part, start, low, high in pairs]
        join = concat
    parts = [part for part in found if part is not None]
    return take(join(*parts), rank.reshape(-1)) if len(parts) == len(found) else None
