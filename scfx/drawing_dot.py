"""The picture of a channel graph, as DOT source for graphviz."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from math import log2
from typing import TYPE_CHECKING

from scfx.dims import Concat, Dim, Product, Var, resolve, variables
from scfx.drawing_palette import GREY, palette, tint
from scfx.flow import STATE, Flow, Place, Stream, flow
from scfx.program import Mode, is_symbolic
from scfx.report import GraphReport
from scfx.report_text import percent
from scfx.signatures.call import Dims
from scfx.wording import dim_text, group_axes, size_text, why_pinned

if TYPE_CHECKING:
    from scfx.channels import ChannelGraph

#: Operators that join branches, by the sign that stands for them.
MERGES = {"add": "+", "mul": "×", "cat": "cat", "stack": "stack", "sub": "−", "matmul": "@"}

#: How many axes the legend lists.
LEGEND = 16

_DARK = "#333333"


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
        self.streams = [s for s in self.flow.streams if mode in s.modes and s.target in self.places and s.source in self.places]
        self.clusters = self._cluster_paths()

    def lines(self) -> Iterator[str]:
        yield "digraph {"
        yield 'rankdir="TB"; fontname="Helvetica"; fontsize="16"; nodesep="0.3"; ranksep="0.28"; labelloc="t"; labeljust="l";'
        yield 'bgcolor="white"; pad="0.3"; outputorder="edgesfirst";'
        yield f"label=<{self._title()}>;"
        yield 'node [fontname="Helvetica", fontsize="11", shape="box", style="rounded,filled", fillcolor="white", margin="0.08,0.04", height="0.25", width="0.3"];'
        yield 'edge [fontname="Helvetica", fontsize="9", arrowsize="0.6"];'
        yield from self._cluster("")
        for place in self.places.values():
            if place.kind != "operator":
                yield self._end(place)
        labelled: set[str] = set()
        for stream in self.streams:
            yield self._edge(stream, labelled)
        yield from self._legend()

    def _title(self) -> str:
        report = GraphReport.of(self.graph)
        return (
            f"{report.prunable_channels:,} of {report.channels:,} channels are prunable"
            f'<br align="left"/><font point-size="11" color="{GREY}">{self.mode} graph; {percent(report.share)} of the dims of parameters, '
            'weighted by entries</font><br align="left"/>'
        )

    # ---------------------------------------------------------------- clusters

    def _cluster_paths(self) -> dict[str, list[str]]:
        """The module paths that get a frame, those with several operators, each with the frames directly inside of it."""
        counts: dict[str, int] = {"": 2}
        for place in self.places.values():
            parts = place.module.split(".") if place.module and place.kind == "operator" else []
            for end in range(1, len(parts) + 1):
                path = ".".join(parts[:end])
                counts[path] = counts.get(path, 0) + 1
        framed: dict[str, list[str]] = {path: [] for path, count in counts.items() if count > 1}
        for path in framed:
            if path:
                framed[self._frame_of(path.rpartition(".")[0], framed)].append(path)
        return framed

    @staticmethod
    def _frame_of(module: str, framed: Mapping[str, list[str]]) -> str:
        while module not in framed:
            module = module.rpartition(".")[0]
        return module

    def _cluster(self, path: str) -> Iterator[str]:
        inside = [p for p in self.places.values() if p.kind == "operator" and self._frame_of(p.module, self.clusters) == path]
        if path:
            depth = path.count(".")
            kinds = {p.module_type for p in self.places.values() if p.module == path}
            parent = next(p for p, children in self.clusters.items() if path in children)
            name = escape(path.removeprefix(parent).removeprefix("."))
            kind = f' <font color="{GREY}">{escape(kinds.pop())}</font>' if kinds and kinds != {""} else ""
            yield f"subgraph {_quoted('cluster ' + path)} {{"
            yield f'label=<<font point-size="11"><b>{name}</b>{kind}</font>>; style="rounded,filled"; color="#d8d8d8"; fillcolor="{_shade(depth)}"; tooltip={_quoted(path)};'
        for place in inside:
            yield self._operator(place, path)
        for child in self.clusters[path]:
            yield from self._cluster(child)
        if path:
            yield "}"

    # ------------------------------------------------------------------- nodes

    def _operator(self, place: Place, frame: str) -> str:
        inside = escape(place.module.removeprefix(frame).removeprefix("."))
        tooltip = _quoted(f"{place.target} {place.module}".strip())
        given = [s for s in self.streams if s.target == place.id]
        state = self._state_rows(place)
        if place.op in MERGES and len(given) > 1:
            sign = MERGES[place.op]
            size = ' fontsize="17", width="0.34", height="0.34", fixedsize="true",' if len(sign) == 1 else ' fontsize="11",'
            return (
                f"{_quoted(place.id)} [label=<<b>{sign}</b>>, shape=\"{'circle' if len(sign) == 1 else 'box'}\",{size} margin=\"0.06,0.02\", "
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
        label = f', label=<<font color="{GREY}"> {text} </font>>' if self._is_new(stream) and stream.source not in labelled else ""
        labelled.add(stream.source)
        plain = " x ".join(dim_text(dim, self.groups) for dim in stream.dims)
        tip = _quoted(f"{stream.operand}: {plain}{self._pins(stream.dims)}")
        return (
            f'{_quoted(stream.source)} -> {_quoted(stream.target)} [color="{":".join(colours)}", penwidth="{width:.2f}", '
            f"tooltip={tip}, labeltooltip={tip}, edgetooltip={tip}{label}];"
        )

    def _is_new(self, stream: Stream) -> bool:
        """Whether what flows has another shape than all that its source was given."""
        source = self.places[stream.source]
        shapes = [tuple(d.size for d in s.dims) for s in self.streams if s.target == source.id]
        return tuple(dim.size for dim in stream.dims) not in shapes

    def _pins(self, dims: Dims) -> str:
        pinned = [a for dim in dims for a in variables(dim) if a in self.colours and a.pin is not None]
        return "".join(f"\n{size_text(a.size)} pinned: {a.pin.reason}" for a in dict.fromkeys(pinned) if a.pin is not None)

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
            texts = [f"({self._dim(part)})" if isinstance(part, Concat) else self._dim(part) for part in dim.parts]
            return f"({'·'.join(texts)})" if len(texts) > 1 else "".join(texts) or "1"
        shown = [self._dim(part) for part in dim.parts]
        if len(shown) > 5:
            shown = [*shown[:2], f"{len(shown) - 3} more", shown[-1]]
        return "+".join(shown)

    # ------------------------------------------------------------------ legend

    def _legend(self) -> Iterator[str]:
        free = [axis for axis in self.graph.axes if axis.pinned is None]
        rows = [
            f'<tr><td bgcolor="{self.colours[axis._var]}" width="18"></td><td align="right">{axis.size:,}</td>'
            f'<td align="left">{escape(repr(axis.members[0]))}{f" and {len(axis.members) - 1} more" if len(axis.members) > 1 else ""}</td></tr>'
            for axis in free[:LEGEND]
        ]
        if len(free) > LEGEND:
            rows.append(f'<tr><td></td><td></td><td align="left">and {len(free) - LEGEND} more prunable axes</td></tr>')
        for axis in self.graph.axes:
            why = why_pinned(self.graph, axis)
            if why is not None and why.reason != "convolution kernel":
                rows.append(
                    f'<tr><td bgcolor="{GREY}" width="18"></td><td align="right">{axis.size:,}</td>'
                    f'<td align="left">{escape(repr(axis.members[0]))} pinned: {escape(why.reason)}</td></tr>'
                )
        table = (
            '<table border="0" cellborder="0" cellspacing="3" cellpadding="1"><tr><td></td><td></td>'
            f'<td align="left"><b>axes: channels, and where they first run</b></td></tr>{"".join(rows[: LEGEND + 10])}</table>'
        )
        yield f'legend [shape="plain", style="", label=<{table}>, fontsize="10"];'


def _shade(depth: int) -> str:
    return ("#fafafa", "#f3f3f3", "#ececec", "#e6e6e6")[min(depth, 3)]


def _quoted(text: str) -> str:
    """A DOT string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
