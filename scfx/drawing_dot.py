"""The picture of a channel graph, as DOT source for graphviz."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from itertools import groupby
from math import log2
from typing import TYPE_CHECKING

from scfx.dims import Dim, Product, Var, resolve, variables
from scfx.drawing_palette import GREY, palette, tint
from scfx.flow import STATE, Flow, Place, Stream, flow
from scfx.program import Mode, is_symbolic
from scfx.report import GraphReport
from scfx.report_text import percent
from scfx.signatures.call import Dims
from scfx.wording import dim_text, group_axes, size_text

if TYPE_CHECKING:
    from scfx.channels import ChannelGraph

#: Operators that join branches, by the sign that stands for them.
MERGES = {"add": "+", "mul": "×", "cat": "cat", "stack": "stack", "sub": "−", "matmul": "@"}

#: How many axes the legend lists.
LEGEND = 16

#: With so many more edges than nodes, sizes beside the edges can't be read and take minutes to place: tooltips have them.
TANGLED = 200

_DARK = "#333333"
#: A space as wide as a digit.
FIGURE_SPACE = "\u2007"


def dot_source(graph: ChannelGraph, mode: Mode) -> str:
    """The graph of one mode in DOT, without the closing brace: settings may follow."""
    return "\n".join(_Picture(graph, mode).lines()) + "\n"


class _Picture:
    """One graph, ready to be written down."""

    def __init__(self, graph: ChannelGraph, mode: Mode) -> None:
        self.graph = graph
        self.mode = mode
        self.flow: Flow = flow(graph)
        self.colours: Mapping[Var, str] = palette(graph)
        self.groups = group_axes(graph)
        self.places = {p.id: p for p in self.flow.places.values() if mode in p.nodes and p.kind not in STATE}
        self.streams = [
            s for s in self.flow.streams if mode in s.modes and s.target in self.places and s.source in self.places
        ]
        self.continued = self._continue_joins()
        self.frames = self._frames()
        self.sizes = len(self.streams) - len(self.places) < TANGLED

    def lines(self) -> Iterator[str]:
        yield "digraph {"
        yield 'rankdir="TB"; fontname="Helvetica"; fontsize="16"; nodesep="0.3"; ranksep="0.28"; labelloc="t"; labeljust="l";'
        yield 'bgcolor="white"; pad="0.3"; outputorder="edgesfirst";'
        yield f"label=<{self._title()}>;"
        yield 'node [fontname="Helvetica", fontsize="11", shape="box", style="rounded,filled", fillcolor="white", margin="0.08,0.04", height="0.25", width="0.3"];'
        yield 'edge [fontname="Helvetica", fontsize="9", arrowsize="0.6"];'
        yield from self._cluster(())
        for place in self.places.values():
            if place.kind != "operator":
                yield self._end(place)
        labelled: set[str] = set()
        for stream in self.streams:
            yield self._edge(stream, labelled)
        for target, source in self.continued.items():
            yield self._continuation(source, target)

    def _title(self) -> str:
        report = GraphReport.of(self.graph)
        small = f'<font point-size="11" color="{GREY}">'
        lines = [
            f"<b>{report.prunable_channels:,} of {report.channels:,} channels are prunable</b>",
            f"{small}{percent(report.share)} of the dims of parameters, by entries; {self.mode} graph</font>",
            f"{small}a colour for each prunable axis; grey is pinned; wider lines have more channels</font>",
        ]
        lines += [f'<font point-size="10">{line}</font>' for line in self._legend()]
        rows = "".join(f'<tr><td align="left">{line}</td></tr>' for line in lines)
        return f'<table border="0" cellborder="0" cellspacing="1" cellpadding="1">{rows}</table>'

    def _legend(self) -> Iterator[str]:
        """Lines: colour, channels, and where the axis first runs."""
        free = [axis for axis in self.graph.axes if axis.pinned is None]
        pinned = [axis for axis in self.graph.axes if axis._var.pin and axis._var.pin.reason != "convolution kernel"]
        for axes, most, what in ((free, LEGEND, "prunable"), (pinned, LEGEND // 2, "pinned")):
            for axis in axes[:most]:
                more = len(axis.members) - 1
                text = f"{axis.members[0]}{f' and {more} more dims' if more > 1 else ' and 1 more dim' if more else ''}"
                text += f", pinned: {axis._var.pin.reason}" if axis._var.pin else ""
                yield _legend_line(self.colours[axis._var], f"{axis.size:,}", text)
            if len(axes) > most:
                yield _legend_line("", "", f"and {len(axes) - most} more axes that are {what}")

    # ---------------------------------------------------------------- clusters

    def _frames(self) -> dict[tuple[str, ...], list[tuple[str, ...]]]:
        """The calls of modules that get a frame, those of several operators, each with the frames directly inside of it."""
        counts: dict[tuple[str, ...], int] = {(): 2}
        for place in self.places.values():
            for end in range(1, len(place.calls) + 1):
                counts[place.calls[:end]] = counts.get(place.calls[:end], 0) + 1
        framed: dict[tuple[str, ...], list[tuple[str, ...]]] = {call: [] for call, count in counts.items() if count > 1}
        for call in framed:
            if call:
                framed[call[:-1]].append(call)
        return framed

    def _frame(self, place: Place) -> tuple[str, ...]:
        end = len(place.calls)
        while place.calls[:end] not in self.frames:
            end -= 1
        return place.calls[:end]

    def _cluster(self, call: tuple[str, ...]) -> Iterator[str]:
        if call:
            path, _, again = call[-1].partition("@")
            kinds = {p.module_type for p in self.places.values() if p.module == path} - {""}
            kind = (
                f' <font color="{GREY}">{escape(kinds.pop())}{f", call {int(again) + 1}" if again else ""}</font>'
                if kinds
                else ""
            )
            name = escape(_inside(path, call[-2] if len(call) > 1 else ""))
            yield f"subgraph {_quoted(f'cluster {call}')} {{"
            yield f'label=<<font point-size="11"><b>{name}</b>{kind}</font>>; style="rounded,filled"; color="#d8d8d8";'
            yield f"fillcolor={_quoted(_shade(len(call)))}; tooltip={_quoted(path)};"
        for place in self.places.values():
            if place.kind == "operator" and self._frame(place) == call:
                yield self._operator(place, call[-1] if call else "")
        for child in self.frames[call]:
            yield from self._cluster(child)
        if call:
            yield "}"

    # ------------------------------------------------------------------- nodes

    def _operator(self, place: Place, frame: str) -> str:
        inside = escape(_inside(place.module, frame))
        tooltip = _quoted(f"{place.target} {place.module}".strip())
        joined = len([s for s in self.streams if s.target == place.id]) > 1 or place.id in self.continued
        state = self._state_rows(place)
        if place.op in MERGES and joined:
            sign = MERGES[place.op]
            size = (
                ' fontsize="17", width="0.34", height="0.34", fixedsize="true",'
                if len(sign) == 1
                else ' fontsize="11",'
            )
            return (
                f'{_quoted(place.id)} [label=<<b>{sign}</b>>, shape="{"circle" if len(sign) == 1 else "box"}",{size} margin="0.06,0.02", '
                f'style="filled,bold", fillcolor="#ffe9a8", color="{_DARK}", tooltip={tooltip}];'
            )
        name = "" if inside in ("", place.op) else f' <font color="#555555">{inside}</font>'
        if not state:
            label = f'<font point-size="10">{escape(place.op)}{name}</font>'
            return f'{_quoted(place.id)} [label=<{label}>, color="#b0b0b0", tooltip={tooltip}];'
        rows = "".join(f'<tr><td align="left"><font point-size="9">{row}</font></td></tr>' for row in state)
        table = f'<table border="0" cellborder="0" cellspacing="0" cellpadding="1"><tr><td align="left"><b>{escape(place.op)}</b>{name}</td></tr>{rows}</table>'
        colour = self._colour_list(place.made[0] if place.made else ())[0]
        return f'{_quoted(place.id)} [label=<{table}>, color="{colour}", fillcolor="{tint(colour, 0.9)}", penwidth="1.4", tooltip={tooltip}];'

    def _state_rows(self, place: Place) -> list[str]:
        """The parameters that an operator reads, those of one shape in one row, and a count of its buffers."""
        rows: dict[str, list[str]] = {}
        buffers = 0
        for stream in self.flow.into(place):
            source = self.flow.places[stream.source]
            if self.mode not in stream.modes or source.kind not in STATE:
                continue
            if source.kind == "buffer":
                buffers += 1
                continue
            name = stream.operand if "[" not in stream.operand else source.id.rpartition(".")[2]
            name += " (quantized)" if source.kind == "quantizer" else ""
            uses = sum(self.mode in s.modes and s.source == source.id for s in self.flow.streams)
            name += f" (shared by {uses})" if uses > 1 and source.kind != "quantizer" else ""
            rows.setdefault(" × ".join(map(self._dim, stream.dims)), []).append(escape(name))
        texts = [f"{', '.join(names)}  {dims}" for dims, names in rows.items()]
        if buffers and not texts:
            texts.append(f'<font color="{GREY}">{buffers} {"buffer" if buffers == 1 else "buffers"}</font>')
        return texts

    def _end(self, place: Place) -> str:
        """An input or an output of the model."""
        name = f"{place.kind} {place.op}".strip()
        return f'{_quoted(place.id)} [label={_quoted(name)}, shape="box", style="filled", fillcolor="#eeeeee", color="{GREY}"];'

    # ------------------------------------------------------------------- edges

    def _edge(self, stream: Stream, labelled: set[str]) -> str:
        colours = self._colour_list(stream.dims)
        channels = max((axis.size for dim in stream.dims for axis in variables(dim) if axis in self.colours), default=1)
        width = (0.7 + log2(max(channels, 1)) / 3) / len(colours) ** 0.5
        known = [dim for dim in stream.dims if not is_symbolic(dim.size)]
        text = " × ".join(map(self._dim, known))
        label = (
            f', label=<<font color="{GREY}"> {text} </font>>'
            if self.sizes and self._is_new(stream) and stream.source not in labelled
            else ""
        )
        labelled.add(stream.source)
        plain = " x ".join(dim_text(dim, self.groups) for dim in stream.dims)
        tip = _quoted(f"{stream.operand}: {plain}{self._pins(stream.dims)}")
        return (
            f'{_quoted(stream.source)} -> {_quoted(stream.target)} [color="{":".join(colours)}", penwidth="{width:.2f}", '
            f"tooltip={tip}, labeltooltip={tip}, edgetooltip={tip}{label}];"
        )

    def _continue_joins(self) -> dict[str, str]:
        """Takes out the edges into a concatenation that begins with all that an earlier one joins: one edge stands for them.

        A dense block, in which everything is given to every later layer, can be read only so.

        Returns:
            By the id of a concatenation, that of the one that it continues.
        """
        joins: dict[tuple[object, ...], str] = {}
        continued: dict[str, str] = {}
        for place in self.places.values():
            given = (
                [(index, s) for index, s in enumerate(self.streams) if s.target == place.id]
                if place.op == "cat"
                else []
            )
            keys = tuple((stream.source, stream.dims) for _, stream in given)
            for end in range(len(keys), 1, -1):
                if keys[:end] in joins:
                    continued[place.id] = joins[keys[:end]]
                    dropped = {index for index, _ in given[:end]}
                    self.streams = [s for index, s in enumerate(self.streams) if index not in dropped]
                    break
            if len(keys) > 1:
                joins.setdefault(keys, place.id)
        return continued

    def _continuation(self, source: str, target: str) -> str:
        colours = ":".join(self._colour_list(self.places[source].made[0]))
        tip = _quoted("all that is joined there, and what comes in beside")
        return f'{_quoted(source)} -> {_quoted(target)} [color="{colours}", style="dashed", tooltip={tip}, edgetooltip={tip}];'

    def _is_new(self, stream: Stream) -> bool:
        """Whether what flows has another shape than all that its source was given."""
        source = self.places[stream.source]
        shapes = [tuple(d.size for d in s.dims) for s in self.streams if s.target == source.id]
        return tuple(dim.size for dim in stream.dims) not in shapes

    def _pins(self, dims: Dims) -> str:
        pinned = [a for dim in dims for a in variables(dim) if a in self.colours and a.pin is not None]
        return "".join(
            f"\n{size_text(a.size)} pinned: {a.pin.reason}" for a in dict.fromkeys(pinned) if a.pin is not None
        )

    def _colour_list(self, dims: Dims) -> list[str]:
        """The colours of the prunable axes of a value; of many the first ones; grey where none is."""
        found = [self.colours[axis] for dim in dims for axis in variables(dim) if axis in self.colours]
        return list(dict.fromkeys(colour for colour in found if colour != GREY))[:4] or [GREY]

    def _dim(self, dim: Dim) -> str:
        """A dim as coloured text."""
        dim = resolve(dim)
        if isinstance(dim, Var):
            colour = self.colours.get(dim, GREY)
            return f'<font color="{colour}">{size_text(dim.size)}</font>' if colour != GREY else size_text(dim.size)
        if isinstance(dim, Product):
            texts = [f"({text})" if "+" in (text := self._dim(part)) else text for part in dim.parts]
            return f"({'·'.join(texts)})" if len(texts) > 1 else "".join(texts) or "1"
        runs = groupby(dim.parts, lambda part: part.size == 1)
        shown = [
            text for single, run in runs for text in ([f"{len(list(run))}"] if single else [self._dim(p) for p in run])
        ]
        if len(shown) > 5:
            shown = [*shown[:2], f"{len(shown) - 3} more", shown[-1]]
        return "+".join(shown)


def _legend_line(colour: str, number: str, text: str) -> str:
    swatch = f'<font color="{colour}">■■</font>  ' if colour else ""
    return f"{swatch}{number.rjust(5, FIGURE_SPACE)}  {escape(text)}" if number else escape(text)


def _inside(path: str, call: str) -> str:
    """A path as it is called inside of a module: without what they share."""
    outer = call.partition("@")[0]
    return "" if path == outer else path.removeprefix(outer and f"{outer}.")


def _shade(depth: int) -> str:
    return ("#fafafa", "#f3f3f3", "#ececec", "#e6e6e6")[min(depth - 1, 3)]


def _quoted(text: str) -> str:
    """A DOT string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
