"""Colours of axes: the same before and after pruning, because they follow the parameter that an axis comes first in."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping

from scfx.channels import Axis, ChannelGraph
from scfx.dims import Var

#: What is pinned, and what no parameter has a part in.
GREY = "#8c8c8c"

#: The golden ratio: steps of it around the circle of hues come near each other as late as possible.
_STEP = 0.6180339887498949

#: Lightness and saturation in turn, so that neighbours on the circle of hues differ in these too.
_TONES = ((0.42, 0.75), (0.34, 0.60), (0.50, 0.62))


def palette(graph: ChannelGraph) -> Mapping[Var, str]:
    """A colour for each axis of a graph: grey if it is pinned."""
    weights = [name for name, p in graph._program.root.named_parameters() if p.dim() > 1]
    rank = {name: position for position, name in enumerate(weights)}
    taken: dict[int, int] = {}
    colours: dict[Var, str] = {}
    for axis in graph.axes:
        place = min(
            (rank[m.name] for m in axis.members if m.name in rank and m.dim == _made_in(axis, m.name)),
            default=len(rank),
        )
        again = taken[place] = taken.get(place, -1) + 1
        colours[axis._var] = GREY if axis.pinned is not None else _colour(place, again)
    return colours


def _made_in(axis: Axis, name: str) -> int:
    """The first dimension of a parameter that an axis runs along."""
    return min(member.dim for member in axis.members if member.name == name)


def _colour(place: int, again: int) -> str:
    hue = (0.58 + place * _STEP + again * 0.11) % 1
    lightness, saturation = _TONES[(place + again) % len(_TONES)]
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation))


def tint(colour: str, amount: float = 0.86) -> str:
    """A colour mixed with white."""
    parts = (int(colour[index : index + 2], 16) for index in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * amount):02x}" for part in parts)
