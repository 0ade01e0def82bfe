"""How a picture looks: colours, signs, and DOT statements."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from html import escape

from scfx.graph.channels import Axis, ChannelGraph
from scfx.terms.dims import Var

#: What is pinned, and what no parameter has a part in.
GREY = "#8c8c8c"
DARK = "#333333"

#: Between sizes.
TIMES = " \N{MULTIPLICATION SIGN} "

#: Operators that join branches, by the sign that stands for them.
SIGNS = {"add": "+", "mul": TIMES.strip(), "cat": "cat", "stack": "stack", "sub": "\N{MINUS SIGN}", "matmul": "@"}

#: Digits above the line.
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

#: The golden ratio: steps of it around the circle of hues come near each other as late as possible.
_STEP = 0.6180339887498949

#: Lightness and saturation in turn, so that neighbours on the circle of hues differ in these too.
_TONES = ((0.42, 0.75), (0.34, 0.60), (0.50, 0.62))


def palette(graph: ChannelGraph) -> Mapping[Var, str]:
    """A colour for each axis of a graph: grey if it is pinned.

    It follows the weight that an axis comes first in, and so is the same before and after pruning.
    """
    weights = [name for name, parameter in graph._program.root.named_parameters() if parameter.dim() > 1]
    rank = {name: position for position, name in enumerate(weights)}
    taken: dict[int, int] = {}
    colours: dict[Var, str] = {}
    for axis in graph.axes:
        place = min((rank[name] for name in _made_in(axis) if name in rank), default=len(rank))
        taken[place] = taken.get(place, -1) + 1
        colours[axis._var] = GREY if axis.pinned is not None else _colour(place, taken[place])
    return colours


def _made_in(axis: Axis) -> list[str]:
    """The parameters along whose first dimension an axis runs; where there are none, all that it runs along."""
    return [m.name for m in axis.members if m.dim == 0] or [m.name for m in axis.members]


def _colour(place: int, again: int) -> str:
    hue = (0.58 + place * _STEP + again * 0.11) % 1
    lightness, saturation = _TONES[(place + again) % len(_TONES)]
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation))


def tint(colour: str, amount: float = 0.9) -> str:
    """A colour mixed with white."""
    parts = (int(colour[index : index + 2], 16) for index in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * amount):02x}" for part in parts)


def shade(depth: int) -> str:
    """The background of a frame inside of so many others."""
    return ("#fafafa", "#f3f3f3", "#ececec", "#e6e6e6")[min(depth, 3)]


class Html(str):
    """Text with graphviz's HTML-like tags, everything else in it escaped."""

    __slots__ = ()


def coloured(text: str, colour: str) -> str:
    """HTML-like text in a colour."""
    return f'<font color="{colour}">{text}</font>'


def sized(text: str, points: int) -> str:
    """HTML-like text of another size."""
    return f'<font point-size="{points}">{text}</font>'


def cell(text: str, columns: int = 1) -> str:
    """A table cell of HTML-like text."""
    span = f' colspan="{columns}"' if columns > 1 else ""
    return f'<td align="left"{span}>{text}</td>'


def chip_cell(name: str, text: str, colours: list[str], tip: str) -> str:
    """A table cell that looks like a chip: in the colours of its axes; grey and dashed if all of them are pinned."""
    style = "rounded,dashed" if colours == [GREY] else "rounded"
    tints = [tint(colour, 0.75) for colour in colours[:2]]
    fill = tints[0] if len(tints) == 1 else f"{tints[0]};0.5:{tints[1]}"
    look = f'border="1" cellpadding="2" style="{style}" color="{colours[0]}" bgcolor="{fill}"'
    return f'<td {look} id="{name}" title="{escape(tip)}">{sized(text, 10)}</td>'


def rows(lines: list[str], colour: str = "", fill: str = "", whole: bool = False) -> Html:
    """Lines of HTML-like text, one below the other, in a frame where it has a colour; `whole`: lines are cells."""
    body = "".join(f"<tr>{line if whole else cell(line)}</tr>" for line in lines)
    frame = f'border="1" style="rounded" color="{colour}" bgcolor="{fill}"' if colour else 'border="0"'
    padding = 'cellspacing="1" cellpadding="2"' if colour else 'cellspacing="0" cellpadding="1"'
    return Html(f'<table {frame} cellborder="0" {padding}>{body}</table>')


def raised(number: int) -> str:
    """The number of a note, above the line."""
    return f" {str(number).translate(_RAISED)}"


def quoted(text: str) -> str:
    """A DOT string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def attributes(values: Mapping[str, str | float]) -> str:
    """DOT attributes: `label="x", width="0.5"`."""
    return ", ".join(f"{k}={f'<{v}>' if isinstance(v, Html) else quoted(str(v))}" for k, v in values.items())


def statement(head: str, **values: str | float) -> str:
    """A DOT statement about a node, an edge or all nodes."""
    return f"{head} [{attributes(values)}];"


def settings(**values: str | float) -> str:
    """DOT settings of the graph or frame that they stand in."""
    return "".join(f"{attributes({key: value})}; " for key, value in values.items()).rstrip()
