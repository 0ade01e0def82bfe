"""How much lies on each axis: which groups of coupled dims weigh the most."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from scfx.graph.masks import over
from scfx.terms.dims import Dim, Product, Take, Var, resolve, variables

if TYPE_CHECKING:
    from scfx.graph.channels import ChannelGraph


@dataclass(frozen=True)
class Coupled:
    """An axis, and what of the parameters lies on it.

    Attributes:
        name: The first dimension of a parameter that it runs along, as "fc.weight[1]".
        dims: How many dimensions of parameters it runs along.
        channels: How many channels it has.
        entries: How many entries of parameters lie on some channel of it. An entry of a matrix lies on two axes.
        pinned: None, or the reason why its channels may not be removed, without the node.
    """

    name: str
    dims: int
    channels: int
    entries: int
    pinned: str | None


def coupled(graph: ChannelGraph, parameters: Collection[str], without: Collection[Var]) -> tuple[Coupled, ...]:
    """The axes of a channel graph, those with the most entries of parameters first.

    Args:
        graph: The channel graph.
        parameters: The names of those to count.
        without: Axes to leave out.
    """
    found = []
    for axis in graph.axes:
        names = [member for member in axis.members if member.name in parameters]
        if axis._var not in without and names:
            entries = sum(_on(graph.dims(name), axis._var) for name in dict.fromkeys(member.name for member in names))
            pin = axis._var.pin
            found.append(Coupled(repr(names[0]), len(names), axis.size, entries, pin.reason if pin else None))
    return tuple(sorted(found, key=lambda each: -each.entries))


def _on(dims: tuple[Dim, ...], axis: Var) -> int:
    """How many entries of a parameter some channel of an axis occupies, along whichever of the dims."""
    return prod(dim.size for dim in dims) - prod(_untouched(resolve(dim), {axis}) for dim in dims)


def prunable_indices(dim: Dim, free: Collection[Var]) -> int:
    """How many indices of a dim some prunable axis occupies."""
    return dim.size - _untouched(resolve(dim), free)


def _untouched(dim: Dim, free: Collection[Var]) -> int:
    """How many indices no prunable axis occupies; counted without a mask, which a symbolic size has no room for."""
    if isinstance(dim, Var):
        return 0 if dim in free else dim.size
    if isinstance(dim, Take):
        kept = over(dim, {axis: np.zeros(axis.size, bool) for axis in variables(dim) if axis in free})
        return int(kept.sum())
    parts = (_untouched(part, free) for part in dim.parts)
    return prod(parts) if isinstance(dim, Product) else sum(parts)
