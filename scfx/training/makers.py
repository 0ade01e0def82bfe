"""Which output channels of which weights make the indices of a dim: what the other end of a weight is made by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from scfx.terms.dims import Concat, Dim, Take, Var, resolve, variables
from scfx.terms.facts import Mask

#: For each index of a dim the channel of each axis that it belongs to, or -1 where it belongs to none of that axis.
Places = dict[Var, NDArray[np.int64]]


#: For axes of sums of branches, each branch: its dim, and for each channel of the sum its index along it, or -1.
Branches = Mapping[Var, Sequence[tuple[Dim, NDArray[np.int64]]]]

_NONE: Branches = {}


def shares(
    makers: Mapping[str, Dim], wanted: Dim, alive: Mask, branches: Branches = _NONE
) -> dict[str, NDArray[np.float64]]:
    """How many indices of a dim each channel of each maker makes; an index with n makers counts as 1/n for each.

    A channel makes an index if the index belongs to all axis channels that it belongs to itself: a head's value
    feature makes its place in the input of the projection behind attention; a feature of its queries does not.

    Args:
        makers: Dims of output channels, by any name.
        wanted: The dim.
        alive: Which of its indices count.
        branches: What makes the sums of branches.

    Returns:
        By name, one number for each output channel of each maker that makes any index.
    """
    pairs: list[tuple[str, NDArray[np.int64], NDArray[np.int64]]] = []
    for places in _ways(_places(wanted), branches):
        for name, dim in makers.items():
            if places.keys() & set(variables(dim)):
                pairs += [(name, *pair) for pair in _pairs(_places(dim), places)]
    number = np.zeros(len(alive))
    for _, _, made in pairs:
        np.add.at(number, made, 1.0)
    found: dict[str, NDArray[np.float64]] = {}
    for name, channels, made in pairs:
        share = found.setdefault(name, np.zeros(makers[name].size))
        np.add.at(share, channels, alive[made] / number[made])
    return found


def _ways(places: Places, branches: Branches) -> list[Places]:
    """The places along a dim, and along all that is added to become it, each once however often it is added."""
    found: dict[object, Places] = {}
    due = [places]
    while due:
        places = due.pop()
        key = frozenset((axis, channels.tobytes()) for axis, channels in places.items())
        if key in found:
            continue
        found[key] = places
        for axis in (axis for axis in places if axis in branches):
            rest = {other: channels for other, channels in places.items() if other is not axis}
            for dim, indices in branches[axis]:
                there = np.where(places[axis] >= 0, indices[places[axis]], -1)
                due.append({other: np.append(made, -1)[there] for other, made in _places(dim).items()} | rest)
    return list(found.values())


def _pairs(makers: Places, wanted: Places) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Which channel makes which index, in runs of channels that belong to the same axes."""
    axes = list(makers)
    table = np.stack([makers[axis] for axis in axes], 1)
    result = []
    for kind in np.unique(table >= 0, axis=0):
        own = [axis for axis, there in zip(axes, kind, strict=True) if there]
        if not own or any(axis not in wanted for axis in own):
            continue
        sizes = [axis.size for axis in own]
        channels = np.flatnonzero(((table >= 0) == kind).all(1))
        indices = np.flatnonzero(np.all([wanted[axis] >= 0 for axis in own], axis=0))
        codes = np.ravel_multi_index([makers[axis][channels] for axis in own], sizes)
        seen = np.ravel_multi_index([wanted[axis][indices] for axis in own], sizes)
        order = np.argsort(codes, kind="stable")
        first, last = (np.searchsorted(codes[order], seen, side) for side in ("left", "right"))
        count = last - first
        start = np.repeat(first, count) + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        result.append((channels[order[start]], np.repeat(indices, count)))
    return result


def _places(dim: Dim) -> Places:
    dim = resolve(dim)
    if isinstance(dim, Var):
        return {dim: np.arange(dim.size)}
    if isinstance(dim, Take):
        return {axis: channels[dim.order] for axis, channels in _places(dim.source).items()}
    result: Places = {axis: np.full(dim.size, -1) for axis in variables(dim)}
    start, sizes = 0, [part.size for part in dim.parts]
    for number, part in enumerate(dim.parts):
        for axis, channels in _places(part).items():
            if isinstance(dim, Concat):
                result[axis][start : start + part.size] = channels
            else:
                inner = np.repeat(channels, prod(sizes[number + 1 :]))
                result[axis] = np.tile(inner, prod(sizes[:number]))
        start += part.size
    return result
