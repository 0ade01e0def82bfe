"""The picture of a view, as DOT source for graphviz."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from math import log2

from scfx.reporting.chips import KERNEL, Chip, Chips
from scfx.reporting.drawing_style import (
    DARK,
    GREY,
    SIGNS,
    TIMES,
    Html,
    cell,
    chip_cell,
    coloured,
    quoted,
    raised,
    rows,
    settings,
    shade,
    sized,
    statement,
    tint,
)
from scfx.reporting.flow import Flow, classes
from scfx.reporting.folding import Frame
from scfx.reporting.widths import Widths
from scfx.reporting.wording import dim_text, modules_text
from scfx.reporting.zooms import Edge, Node, View
from scfx.signatures.call import Dims
from scfx.terms.dims import Var, variables
from scfx.terms.symbolic import is_symbolic

#: With so many more edges than nodes, sizes can't be read and take minutes to place: they are left to the tooltips.
TANGLED = 200

#: Colours of one edge, at most.
STRIPES = 3


@dataclass
class Drawing:
    """A picture, and what its parts stand for.

    Attributes:
        source: DOT, without the closing brace: settings may follow.
        chips: By the id that each has in the picture.
        edges: By id: the axes along an edge, and how wide it is with all channels.
        nodes: By id.
        frames: By id, the path of the module.
    """

    source: str = ""
    chips: dict[str, Chip] = field(default_factory=dict)
    edges: dict[str, tuple[tuple[Var, ...], float]] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    frames: dict[str, str] = field(default_factory=dict)


class Artist:
    """Draws the views of one graph.

    Args:
        everything: The dataflow.
        chips: What makes the chips of its nodes.
        widths: How wide axes are and were.
    """

    def __init__(self, everything: Flow, chips: Chips, widths: Widths) -> None:
        self.flow, self.chips, self.widths = everything, chips, widths
        self.colours: Mapping[Var, str] = widths.colours
        self.classes = classes(everything)

    def draw(self, view: View, heading: tuple[str, ...]) -> Drawing:
        """The picture of a view below a heading of HTML-like lines; without one, notes on pins are left out, too."""
        return _Picture(self, view).drawn(heading)


class _Picture:
    """One view on its way to DOT."""

    def __init__(self, artist: Artist, view: View) -> None:
        self.artist, self.view = artist, view
        self.colours, self.chips = artist.colours, artist.chips
        self.edges = _continued(view)
        self.notes: dict[str, int] = {}
        self.out = Drawing()
        self.sizes = len(self.edges) - len(view.nodes) < TANGLED

    def drawn(self, heading: tuple[str, ...]) -> Drawing:
        body = [*self._inside_frame(())]
        labelled: set[str] = set()
        for edge in self.edges:
            body.append(self._edge(edge, edge.source not in labelled))
            labelled.add(edge.source)
        self.out.source = "\n".join([*self._head(heading), *body]) + "\n"
        return self.out

    def _head(self, heading: tuple[str, ...]) -> Iterator[str]:
        yield "digraph {"
        yield settings(rankdir="TB", nodesep=0.35, ranksep=0.32, pad=0.3, bgcolor="white", outputorder="edgesfirst")
        if heading:
            notes = [coloured(sized(f"{raised(n)} pinned: {escape(why)}", 11), GREY) for why, n in self.notes.items()]
            label = rows([*heading, *notes])
            yield settings(fontname="Helvetica", fontsize=16, labelloc="t", labeljust="l", label=label)
        yield statement("node", fontname="Helvetica", fontsize=11, shape="plain")
        yield statement("edge", fontname="Helvetica", fontsize=9, arrowsize=0.6)

    # ------------------------------------------------------------------ frames

    def _inside_frame(self, frame: Frame, depth: int = 0) -> Iterator[str]:
        for node in self.view.nodes.values():
            if self._frame_of(node) == frame:
                yield self._node(node, frame[-1] if frame else "")
        for child in self.view.frames[frame]:
            name = f"g{len(self.out.frames)}"
            self.out.frames[name] = child[-1].partition("@")[0]
            yield f"subgraph {quoted('cluster ' + ' '.join(child))} {{"
            label = Html(sized(self._frame_title(child, frame[-1] if frame else ""), 11))
            yield settings(id=name, label=label, labeljust="l", tooltip=child[-1], style="rounded,filled")
            yield settings(color="#d8d8d8", fillcolor=shade(depth))
            yield from self._inside_frame(child, depth + 1)
            yield "}"

    def _frame_of(self, node: Node) -> Frame:
        end = len(node.frame)
        while node.frame[:end] not in self.view.frames:
            end -= 1
        return node.frame[:end]

    def _frame_title(self, frame: Frame, outer: str) -> str:
        """The name of a module inside of another one, its class, and how often it is there."""
        copies = self.view.copies.get(frame, (frame,))
        names = [_inside(copy[-1].partition("@")[0], outer) for copy in copies]
        path, _, again = frame[-1].partition("@")
        remarks = [self.artist.classes.get(path, ""), *([f"call {int(again) + 1}"] if again else [])]
        times = f" <b>{TIMES}{len(copies)}</b>" if len(copies) > 1 else ""
        remark = f" {coloured(escape(', '.join(filter(None, remarks))), GREY)}" if any(remarks) else ""
        return f"<b>{escape(modules_text(names))}</b>{remark}{times}"

    # ------------------------------------------------------------------- nodes

    def _node(self, node: Node, outer: str) -> str:
        name = f"n{len(self.out.nodes)}"
        self.out.nodes[name] = node
        head, own = quoted(node.id), {"id": name}
        if node.outside:
            text = coloured(escape(node.id), GREY)
            return statement(head, **own, **{"class": "outside"}, label=Html(sized(text, 10)), tooltip=node.id)
        if node.block:
            return statement(head, **own, **{"class": "block"}, label=self._block(node, outer))
        place = node.place
        if place.kind != "operator":
            text = f"<b>{place.kind}</b> {escape(place.op)}".strip()
            return statement(head, **own, **{"class": "end"}, label=rows([text], GREY, "#eeeeee"), tooltip=place.id)
        tip = f"{place.target} {place.module}".strip()
        state = self.chips.rows(node)
        inside = escape(_inside(place.module, outer))
        if place.op in SIGNS and not state and self._merges(node):
            sign = Html(f"<b>{SIGNS[place.op]}</b>")
            look: dict[str, str | float] = {"class": "merge", "style": "filled", "fillcolor": "#ffe9a8", "color": DARK}
            if len(SIGNS[place.op]) > 1:
                look |= {"shape": "box", "style": "filled,rounded", "margin": "0.06,0.02", "height": 0.25, "width": 0.3}
                return statement(head, **own, label=sign, tooltip=tip, **look)
            look |= {"shape": "circle", "width": 0.3, "fixedsize": "true", "fontsize": 17}
            return statement(head, **own, label=sign, tooltip=tip, **look)
        said = coloured(inside, "#666666") if inside not in ("", place.op) else ""
        again = place.calls[-1].partition("@")[2] if place.calls else ""
        said += coloured(f", call {int(again) + 1}", GREY) if again else ""
        title = f"<b>{escape(place.op)}</b> {said}".strip()
        if not state:
            merge = self._merges(node)
            label = rows([title if merge else sized(coloured(escape(place.op), "#666666"), 10)], *self._look(merge))
            return statement(head, **own, **{"class": "merge" if merge else "plain"}, label=label, tooltip=tip)
        colour = self._stripes(tuple(v for d in (place.made[0] if place.made else ()) for v in variables(d)))[0]
        lines = [cell(title, columns=2), *(cell(escape(", ".join(r.names))) + self._chip_row(r.chips) for r in state)]
        label = rows(lines, colour, tint(colour, 0.94), whole=True)
        return statement(head, **own, **{"class": "operator"}, label=label, tooltip=tip)

    def _merges(self, node: Node) -> bool:
        return sum(edge.target == node.id and not edge.again for edge in self.edges) > 1

    def _look(self, merge: bool) -> tuple[str, str]:
        return (DARK, "#ffe9a8") if merge else ("#c4c4c4", "#ffffff")

    def _block(self, node: Node, outer: str) -> Html:
        own, shared = self.chips.block(node)
        entries = self.chips.entries(node)
        lines = [cell(self._frame_title(node.block, outer), columns=2)]
        lines += [cell(sized(coloured(f"{entries:,} weights{' each' if len(node.places) > 1 else ''}", GREY), 9), 2)]
        lines += [cell("inside") + self._chip_row(tuple(own))] if own else []
        lines += [cell("shared") + self._chip_row(tuple(shared))] if shared else []
        return rows(lines, "#555555", "#ffffff", whole=True)

    def _chip_row(self, chips: tuple[Chip | str, ...]) -> str:
        """A cell of chips, with the sizes of windows as plain text."""
        cells: list[str] = []
        window = [chip for chip in chips if isinstance(chip, str)]
        for chip in chips:
            if isinstance(chip, str):
                continue
            name = f"k{len(self.out.chips)}"
            self.out.chips[name] = chip
            text = escape(chip.text) + "".join(raised(self._note(reason)) for reason in chip.pins)
            cells.append(chip_cell(name, text, self._stripes(chip.axes), self._chip_tip(chip)))
        cells += [cell(sized(coloured(TIMES.strip().join(window), GREY), 9))] if window else []
        inner = f'<table border="0" cellborder="0" cellspacing="2" cellpadding="1"><tr>{"".join(cells)}</tr></table>'
        return cell(inner)

    def _chip_tip(self, chip: Chip) -> str:
        pins = "".join(f", pinned: {reason}" for reason in chip.pins)
        return f"{chip.name}[{chip.dim}]: {chip.text}{pins}"

    def _note(self, reason: str) -> int:
        """The number of the note that says a reason."""
        return self.notes.setdefault(reason, len(self.notes) + 1)

    # ------------------------------------------------------------------- edges

    def _edge(self, edge: Edge, first: bool) -> str:
        """An edge; the first one of several has the size beside it, where it is another one than before."""
        name = f"e{len(self.out.edges)}"
        stream = edge.streams[0]
        axes = tuple(dict.fromkeys(a for each in edge.streams for dim in each.dims for a in variables(dim)))
        drawn = [a for a in dict.fromkeys(v for dim in stream.dims for v in variables(dim)) if a in self.colours]
        colours = self._stripes(tuple(drawn))
        before = max((self.artist.widths.first(axis) for axis in drawn), default=1)
        share = sum(a.size for a in drawn) / max(1, sum(map(self.artist.widths.first, drawn)))
        full = (1 + log2(before) / 2.5) / len(colours) ** 0.5
        self.out.edges[name] = tuple(a for a in axes if a in self.colours), round(full, 2)
        channels = [dim for dim in stream.dims if any(axis in self.colours for axis in variables(dim))]
        text = TIMES.join(escape(dim_text(dim)) for dim in channels if not is_symbolic(dim.size))
        labelled = self.sizes and first and text and not edge.again and self._is_new(edge)
        label = {"label": Html(coloured(f" {text} ", GREY))} if labelled else {}
        through = f"\nthrough {', '.join(edge.through)}" if edge.through else ""
        tip = f"{stream.operand}: {' x '.join(dim_text(dim) for dim in stream.dims)}{through}{self._pins(stream.dims)}"
        tips = {"tooltip": tip, "edgetooltip": tip, **({"labeltooltip": tip} if label else {})}
        style = {"style": "dashed", "constraint": "false"} if edge.again else {}
        style |= {"style": "dashed"} if isinstance(edge, _Continuation) else {}
        ends = f"{quoted(edge.source)} -> {quoted(edge.target)}"
        width = round(max(0.5, full * share), 2)
        return statement(ends, id=name, color=":".join(colours), penwidth=width, **style, **label, **tips)

    def _is_new(self, edge: Edge) -> bool:
        """Whether what flows has another shape than its source shows, and than all that it was given."""
        dims, source = edge.streams[0].dims, self.view.nodes[edge.source]
        given = (other for other in self.edges if other.target == edge.source)
        if [dim.size for dim in dims] in [[dim.size for dim in other.streams[0].dims] for other in given]:
            return False
        axes = {axis for dim in dims for axis in variables(dim)} & set(self.colours)
        shown = [] if source.block else [chip for row in self.chips.rows(source) for chip in row.chips]
        return not any(isinstance(chip, Chip) and set(chip.axes) == axes for chip in shown)

    def _pins(self, dims: Dims) -> str:
        axes = dict.fromkeys(axis for dim in dims for axis in variables(dim) if axis in self.colours)
        pinned = [(axis.size, axis.pin.reason) for axis in axes if axis.pin is not None]
        return "".join(f"\n{size:,} pinned: {reason}" for size, reason in pinned if reason != KERNEL)

    def _stripes(self, axes: tuple[Var, ...]) -> list[str]:
        """The colours of the prunable axes of a value; of many the first ones; grey where none is."""
        found = [self.colours[axis] for axis in axes if axis in self.colours]
        return list(dict.fromkeys(colour for colour in found if colour != GREY))[:STRIPES] or [GREY]


class _Continuation(Edge):
    """An edge from a concatenation to one that begins with all that it joins."""


def _continued(view: View) -> list[Edge]:
    """The edges of a view, but for those into a concatenation that begins with all that an earlier one joins.

    One edge between the two will do instead. A dense block, in which everything is given to every later layer, can be
    read only so.
    """
    joins: dict[tuple[str, ...], str] = {}
    edges = list(view.edges)
    for node in view.nodes.values():
        if node.block or node.outside or node.place.op != "cat":
            continue
        given = [edge for edge in edges if edge.target == node.id]
        keys = tuple(edge.source for edge in given)
        end = next((end for end in range(len(keys), 1, -1) if keys[:end] in joins), 0)
        if end:
            source = joins[keys[:end]]
            streams = [stream for edge in given[:end] for stream in edge.streams]
            edges = [edge for edge in edges if edge not in given[:end]]
            edges.append(_Continuation(source, node.id, streams))
        if len(keys) > 1:
            joins.setdefault(keys, node.id)
    return edges


def _inside(path: str, call: str) -> str:
    """A path as it is called inside of a module: without what they share."""
    outer = call.partition("@")[0]
    return "" if path == outer else path.removeprefix(outer and f"{outer}.")
