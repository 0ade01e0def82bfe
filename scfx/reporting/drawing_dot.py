"""The picture of a channel graph, as DOT source for graphviz."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from itertools import groupby
from math import log2
from typing import TYPE_CHECKING

from scfx.capture.program import Mode
from scfx.reporting.drawing_style import (
    DARK,
    DOT,
    GREY,
    SIGNS,
    TIMES,
    Html,
    coloured,
    legend_line,
    palette,
    quoted,
    settings,
    shade,
    sized,
    statement,
    table,
    tint,
)
from scfx.reporting.flow import STATE, Place, Stream, flow
from scfx.reporting.report import GraphReport
from scfx.reporting.report_text import percent
from scfx.reporting.wording import dim_text, group_axes
from scfx.signatures.call import Dims
from scfx.terms.dims import Dim, Product, Take, Var, resolve, variables
from scfx.terms.symbolic import is_symbolic, size_text

if TYPE_CHECKING:
    from scfx.graph.channels import Axis, ChannelGraph

#: How many axes the legend lists.
LEGEND = 16

#: With so many more edges than nodes, sizes can't be read and take minutes to place: they are left to the tooltips.
TANGLED = 200

#: A frame is a call of a module: the paths of the calls that it happens in, outermost first, and its own.
Frame = tuple[str, ...]


def dot_source(graph: ChannelGraph, mode: Mode) -> str:
    """The graph of one mode in DOT, without the closing brace: settings may follow."""
    return "\n".join(_Picture(graph, mode).lines()) + "\n"


class _Picture:
    """One graph, ready to be written down."""

    def __init__(self, graph: ChannelGraph, mode: Mode) -> None:
        self.graph = graph
        self.mode = mode
        self.flow = flow(graph)
        self.colours: Mapping[Var, str] = palette(graph)
        self.groups = group_axes(graph)
        self.places = {p.id: p for p in self.flow.places.values() if mode in p.nodes and p.kind not in STATE}
        between = [s for s in self.flow.streams if s.target in self.places and s.source in self.places]
        self.streams = [stream for stream in between if mode in stream.modes]
        self.continued = self._continue_joins()
        self.frames = self._frames()
        self.sizes = len(self.streams) - len(self.places) < TANGLED

    def lines(self) -> Iterator[str]:
        yield "digraph {"
        yield settings(rankdir="TB", nodesep=0.3, ranksep=0.28, pad=0.3, bgcolor="white", outputorder="edgesfirst")
        yield settings(fontname="Helvetica", fontsize=16, labelloc="t", labeljust="l", label=self._title())
        yield statement("node", fontname="Helvetica", fontsize=11, shape="box", margin="0.08,0.04", height=0.25)
        yield statement("node", style="rounded,filled", fillcolor="white", width=0.3)
        yield statement("edge", fontname="Helvetica", fontsize=9, arrowsize=0.6)
        yield from self._inside_frame(())
        for place in self.places.values():
            if place.kind != "operator":
                yield self._end(place)
        labelled: set[str] = set()
        for stream in self.streams:
            yield self._edge(stream, stream.source not in labelled)
            labelled.add(stream.source)
        for target, source in self.continued.items():
            yield self._continuation(source, target)

    def _title(self) -> Html:
        report = GraphReport.of(self.graph, outputs=False)
        notes = (
            f"{percent(report.share)} of the dims of parameters, by entries; {self.mode} graph",
            "a colour for each prunable axis; grey is pinned; wider lines have more channels",
        )
        title = f"<b>{report.prunable_channels:,} of {report.channels:,} channels are prunable</b>"
        return table([title, *(coloured(sized(note, 11), GREY) for note in notes), *self._legend()])

    def _legend(self) -> Iterator[str]:
        """A line for each axis: colour, channels, and where it first runs."""
        free = [axis for axis in self.graph.axes if axis.pinned is None]
        pinned = [axis for axis in self.graph.axes if axis._var.pin and axis._var.pin.reason != "convolution kernel"]
        for axes, most, what in ((free, LEGEND, "prunable"), (pinned, LEGEND // 2, "pinned")):
            for axis in axes[:most]:
                yield legend_line(self.colours[axis._var], f"{axis.size:,}", escape(_axis_text(axis)))
            if len(axes) > most:
                yield legend_line("white", "", f"and {len(axes) - most} more axes that are {what}")

    # ------------------------------------------------------------------ frames

    def _frames(self) -> dict[Frame, list[Frame]]:
        """The calls of modules that get a frame, those of several operators, each with the frames directly inside."""
        counts: dict[Frame, int] = {(): 2}
        for place in self.places.values():
            for end in range(1, len(place.calls) + 1):
                counts[place.calls[:end]] = counts.get(place.calls[:end], 0) + 1
        frames: dict[Frame, list[Frame]] = {call: [] for call, count in counts.items() if count > 1}
        for call in frames:
            if call:
                frames[call[:-1]].append(call)
        return frames

    def _frame_of(self, place: Place) -> Frame:
        end = len(place.calls)
        while place.calls[:end] not in self.frames:
            end -= 1
        return place.calls[:end]

    def _inside_frame(self, frame: Frame) -> Iterator[str]:
        for place in self.places.values():
            if place.kind == "operator" and self._frame_of(place) == frame:
                yield self._operator(place, frame[-1] if frame else "")
        for child in self.frames[frame]:
            path, _, again = child[-1].partition("@")
            kinds = {place.module_type for place in self.places.values() if place.module == path} - {""}
            remarks = [*sorted(kinds)[:1], *([f"call {int(again) + 1}"] if again else [])]
            name = escape(_inside(path, frame[-1] if frame else ""))
            label = Html(sized(f"<b>{name}</b> {coloured(escape(', '.join(remarks)), GREY)}", 11))
            yield f"subgraph {quoted('cluster ' + ' '.join(child))} {{"
            yield settings(
                label=label, style="rounded,filled", color="#d8d8d8", fillcolor=shade(len(frame)), tooltip=path
            )
            yield from self._inside_frame(child)
            yield "}"

    # ------------------------------------------------------------------- nodes

    def _operator(self, place: Place, call: str) -> str:
        inside = escape(_inside(place.module, call))
        head = f"{quoted(place.id)}"
        tip = f"{place.target} {place.module}".strip()
        if place.op in SIGNS and (place.id in self.continued or sum(s.target == place.id for s in self.streams) > 1):
            sign = Html(f"<b>{SIGNS[place.op]}</b>")
            look = {"style": "filled,bold", "fillcolor": "#ffe9a8", "color": DARK}
            if len(SIGNS[place.op]) > 1:
                return statement(head, label=sign, tooltip=tip, margin="0.06,0.02", **look)
            shape = {"shape": "circle", "width": "0.34", "fixedsize": "true", "fontsize": "17"}
            return statement(head, label=sign, tooltip=tip, **shape, **look)
        name = "" if inside in ("", place.op) else f" {coloured(inside, '#555555')}"
        state = self._state_lines(place)
        if not state:
            return statement(head, label=Html(sized(f"{escape(place.op)}{name}", 10)), color="#b0b0b0", tooltip=tip)
        label = table([f"<b>{escape(place.op)}</b>{name}", *(sized(line, 9) for line in state)])
        colour = self._colours(place.made[0] if place.made else ())[0]
        return statement(head, label=label, color=colour, fillcolor=tint(colour), penwidth=1.4, tooltip=tip)

    def _state_lines(self, place: Place) -> list[str]:
        """The parameters that an operator reads, those of one shape in one line; else how many buffers it reads."""
        lines: dict[str, list[str]] = {}
        buffers = 0
        for stream in self.flow.into(place):
            source = self.flow.places[stream.source]
            if self.mode not in stream.modes or source.kind not in STATE:
                continue
            if source.kind == "buffer":
                buffers += 1
                continue
            name = stream.operand if "[" not in stream.operand else source.id.rpartition(".")[2]
            uses = sum(self.mode in other.modes and other.source == source.id for other in self.flow.streams)
            remarks = ["quantized"] if source.kind == "quantizer" else []
            remarks += [f"used {uses} times"] if uses > 1 else []
            name += f" ({', '.join(remarks)})" if remarks else ""
            lines.setdefault(TIMES.join(map(self._dim, stream.dims)), []).append(escape(name))
        if buffers and not lines:
            return [coloured(f"{buffers} {'buffer' if buffers == 1 else 'buffers'}", GREY)]
        return [f"{', '.join(names)}  {dims}" for dims, names in lines.items()]

    def _end(self, place: Place) -> str:
        """An input or an output of the model."""
        name = f"{place.kind} {place.op}".strip()
        return statement(quoted(place.id), label=name, style="filled", fillcolor="#eeeeee", color=GREY)

    # ------------------------------------------------------------------- edges

    def _edge(self, stream: Stream, first: bool) -> str:
        """An edge; the first one of several has the size beside it, where it is another one than before."""
        colours = self._colours(stream.dims)
        sizes = [axis.size for dim in stream.dims for axis in variables(dim) if axis in self.colours]
        width = (0.7 + log2(max(sizes, default=1)) / 3) / len(colours) ** 0.5
        text = TIMES.join(self._dim(dim) for dim in stream.dims if not is_symbolic(dim.size))
        label = {"label": Html(coloured(f" {text} ", GREY))} if self.sizes and first and self._is_new(stream) else {}
        plain = " x ".join(dim_text(dim, self.groups) for dim in stream.dims)
        tip = f"{stream.operand}: {plain}{self._pins(stream.dims)}"
        tips = {"tooltip": tip, "edgetooltip": tip, **({"labeltooltip": tip} if label else {})}
        ends = f"{quoted(stream.source)} -> {quoted(stream.target)}"
        return statement(ends, color=":".join(colours), penwidth=round(width, 2), **label, **tips)

    def _continue_joins(self) -> dict[str, str]:
        """Takes out the edges into a concatenation that begins with all that an earlier one joins; one edge will do.

        A dense block, in which everything is given to every later layer, can be read only so.

        Returns:
            By the id of a concatenation, that of the one that it continues.
        """
        joins: dict[tuple[tuple[str, Dims], ...], str] = {}
        continued: dict[str, str] = {}
        for place in self.places.values():
            given = [stream for stream in self.streams if stream.target == place.id] if place.op == "cat" else []
            keys = tuple((stream.source, stream.dims) for stream in given)
            end = next((end for end in range(len(keys), 1, -1) if keys[:end] in joins), 0)
            if end:
                continued[place.id] = joins[keys[:end]]
                self.streams = [stream for stream in self.streams if stream not in given[:end]]
            if len(keys) > 1:
                joins.setdefault(keys, place.id)
        return continued

    def _continuation(self, source: str, target: str) -> str:
        tip = "all that is joined there, and what comes in beside"
        colours = ":".join(self._colours(self.places[source].made[0]))
        ends = f"{quoted(source)} -> {quoted(target)}"
        return statement(ends, color=colours, style="dashed", tooltip=tip, edgetooltip=tip)

    def _is_new(self, stream: Stream) -> bool:
        """Whether what flows has another shape than all that its source was given."""
        given = (other for other in self.streams if other.target == stream.source)
        return [dim.size for dim in stream.dims] not in [[dim.size for dim in other.dims] for other in given]

    def _pins(self, dims: Dims) -> str:
        axes = dict.fromkeys(axis for dim in dims for axis in variables(dim) if axis in self.colours)
        return "".join(f"\n{size_text(axis.size)} pinned: {axis.pin.reason}" for axis in axes if axis.pin is not None)

    # ------------------------------------------------------------------ colours

    def _colours(self, dims: Dims) -> list[str]:
        """The colours of the prunable axes of a value; of many the first ones; grey where none is."""
        found = [self.colours[axis] for dim in dims for axis in variables(dim) if axis in self.colours]
        return list(dict.fromkeys(colour for colour in found if colour != GREY))[:4] or [GREY]

    def _dim(self, dim: Dim) -> str:
        """A dim as coloured text."""
        dim = resolve(dim)
        if isinstance(dim, Var):
            colour = self.colours.get(dim, GREY)
            return coloured(size_text(dim.size), colour) if colour != GREY else size_text(dim.size)
        if isinstance(dim, Product):
            texts = [f"({text})" if "+" in (text := self._dim(part)) else text for part in dim.parts]
            return f"({DOT.join(texts)})" if len(texts) > 1 else "".join(texts) or "1"
        if isinstance(dim, Take):
            return f"reordered({self._dim(dim.source)})"
        shown: list[str] = []
        for single, run in groupby(dim.parts, lambda part: part.size == 1):
            parts = list(run)
            shown += [f"{len(parts)}"] if single else map(self._dim, parts)
        if len(shown) > 5:
            shown = [*shown[:2], f"{len(shown) - 3} more", shown[-1]]
        return "+".join(shown)


def _axis_text(axis: Axis) -> str:
    more = len(axis.members) - 1
    others = f" and {more} more dims" if more > 1 else " and 1 more dim" if more else ""
    return f"{axis.members[0]}{others}{f', pinned: {axis._var.pin.reason}' if axis._var.pin else ''}"


def _inside(path: str, call: str) -> str:
    """A path as it is called inside of a module: without what they share."""
    outer = call.partition("@")[0]
    return "" if path == outer else path.removeprefix(outer and f"{outer}.")
