"""From masks over axes to masks over dims, and back."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from scfx.terms.dims import Dim, Product, Take, Var, resolve
from scfx.terms.facts import Mask

#: A mask over the channels of some axes; every channel of an axis that isn't there is marked.
AxisMasks = Mapping[Var, Mask]


def over(dim: Dim, masks: AxisMasks) -> Mask:
    """The mask of a dim: of a product, what is marked in every factor; of a concatenation, one after the other."""
    dim = resolve(dim)
    if isinstance(dim, Var):
        mask = masks.get(dim)
        return np.ones(dim.size, bool) if mask is None else mask
    if isinstance(dim, Take):
        taken: Mask = over(dim.source, masks)[dim.order]
        return taken
    parts = [over(part, masks) for part in dim.parts]
    if isinstance(dim, Product):
        result = np.ones(1, bool)
        for part in parts:
            result = (result[:, None] & part[None, :]).reshape(-1)
        return result
    return np.concatenate(parts) if parts else np.ones(0, bool)


def occupied(dim: Dim, axis: Var, channel: int) -> Mask:
    """Which indices of a dim one channel of an axis occupies."""
    rest = np.ones(axis.size, bool)
    rest[channel] = False
    result: Mask = ~over(dim, {axis: rest})
    return result


def narrow(dim: Dim, marked: Mask | None, masks: dict[Var, Mask]) -> None:
    """Clears in `masks` each channel that occupies an index which isn't marked; `marked` None: no index is."""
    dim = resolve(dim)
    if isinstance(dim, Var):
        if dim in masks:
            masks[dim] = np.zeros(dim.size, bool) if marked is None else masks[dim] & marked
    elif marked is None:
        for part in dim.parts:
            narrow(part, None, masks)
    elif isinstance(dim, Take):
        everywhere = np.ones(dim.source.size, bool)
        everywhere[dim.order[~marked]] = False
        narrow(dim.source, everywhere, masks)
    elif isinstance(dim, Product):
        sizes = [part.size for part in dim.parts]
        for index, part in enumerate(dim.parts):
            table = marked.reshape(prod(sizes[:index]), sizes[index], -1)
            narrow(part, np.asarray(table.all(axis=(0, 2))), masks)
    else:
        start = 0
        for part in dim.parts:
            narrow(part, marked[start : start + part.size], masks)
            start += part.size
