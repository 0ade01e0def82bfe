"""Dims whose indices are single channels of axes: any two of them can be lined up, and any part of one taken.

Where each index of a dim belongs to one channel at most, the dim is a list of channels, and order is no obstacle. This
is how permutations, strided slices and lookups are followed; terms (`scfx.terms.dims`) are what comes of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scfx.terms.dims import (
    NOTHING,
    ONE,
    Dim,
    Product,
    Take,
    Var,
    apart,
    concat,
    fresh,
    product,
    resolve,
    take,
)

#: Above this many indices (a symbolic size, say) a dim isn't looked at channel by channel.
MAX_PLACES = 2**20

Indices = NDArray[np.int64]


class _Places:
    """Numbers for the channels of the axes of some dims: those of an axis follow each other."""

    def __init__(self) -> None:
        self.starts: dict[Var, int] = {}
        self.count = 0

    def of(self, dim: Dim) -> Indices | None:
        """For each index of a resolved dim a row of the numbers of its channels, filled up with -1; None: too many."""
        if dim.size > MAX_PLACES:
            return None
        rows = -np.sort(-self._rows(dim), axis=1)
        return rows[:, (rows >= 0).any(0)]

    def _rows(self, dim: Dim) -> Indices:
        if isinstance(dim, Var):
            if dim not in self.starts:
                self.starts[dim] = self.count
                self.count += dim.size
            return np.arange(dim.size)[:, None] + self.starts[dim]
        if isinstance(dim, Take):
            return self._rows(dim.source)[dim.order]
        parts = [self._rows(part) for part in dim.parts]
        if isinstance(dim, Product):
            rows = np.zeros((1, 0), np.int64)
            for part in parts:
                rows = np.hstack([rows.repeat(len(part), 0), np.tile(part, (len(rows), 1))])
            return rows
        width = max((part.shape[1] for part in parts), default=0)
        rows = np.full((sum(map(len, parts)), width), -1, np.int64)
        start = 0
        for part in parts:
            rows[start : start + len(part), : part.shape[1]] = part
            start += len(part)
        return rows

    def single(self, rows: Indices) -> Indices | None:
        """The number of the one channel of each index, -1 for none; None if some index has several.

        Channels that are pinned don't count beside one that isn't.
        """
        pinned = np.zeros(self.count + 1, bool)
        for axis, start in self.starts.items():
            pinned[start : start + axis.size] = axis.pin is not None
        free = np.where(pinned[rows], -1, rows)
        moves = (free >= 0).any(1)
        several = np.where(moves, (free >= 0).sum(1), (rows >= 0).sum(1)) > 1
        found: Indices = np.where(moves, free.max(1, initial=-1), rows.max(1, initial=-1))
        return None if several.any() else found


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
    one, other = places.single(left), places.single(right)
    if one is None or other is None:
        return False
    _renew(places, _classes(places.count + 1, one + 1, other + 1)[1:])
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
    by_channel, by_part = _pick_channels, _pick_inside
    for way in (by_part, by_channel) if isinstance(dim, Product) else (by_channel, by_part):
        found = way(dim, chosen)
        if found is not None:
            return found
    return None


def _pick_channels(dim: Dim, chosen: Indices) -> Dim | None:
    places = _Places()
    rows = places.of(dim)
    own = None if rows is None else places.single(rows)
    if own is None:
        return None
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
