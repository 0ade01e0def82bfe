"""What of a dataflow is drawn at each zoom: the whole model by its blocks, one block, or one axis."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from scfx.capture.program import Mode
from scfx.errors import UnknownNameError
from scfx.graph.selection import unknown_name
from scfx.reporting.flow import STATE, Flow, Place, Stream
from scfx.reporting.folding import Folder, Folds, Frame
from scfx.reporting.widths import Widths
from scfx.terms.dims import Var, variables

#: A whole model is opened as deep as so many nodes allow.
READABLE = 40


@dataclass(eq=False)
class Node:
    """What is drawn as one.

    Attributes:
        id: Unique in its view: the id of the place that is drawn, or the path of a block.
        places: The places that it stands for, those of each copy together: of the copy that is drawn first.
        frame: The frame that it is drawn in.
        block: The frame that it stands for, if that is closed; else ().
        outside: Whether it only says where something comes from or goes to.
    """

    id: str
    places: list[list[Place]]
    frame: Frame
    block: Frame = ()
    outside: bool = False

    @property
    def place(self) -> Place:
        """The first place that is drawn."""
        return self.places[0][0]


@dataclass(eq=False)
class Edge:
    """What flows from one node to another.

    Attributes:
        source, target: Ids of nodes.
        streams: The tensors; those of other copies behind those that are drawn.
        through: Operators on the way that are not drawn.
        again: Whether it leads from one copy of a block to the next.
    """

    source: str
    target: str
    streams: list[Stream]
    through: tuple[str, ...] = ()
    again: bool = False


@dataclass
class View:
    """A zoom, ready to be drawn.

    Attributes:
        nodes: By id, in the order of the dataflow.
        edges: In the order of their targets.
        frames: The frames that are drawn open, each with those directly inside; () is the view itself.
        copies: For a frame that is drawn for several, all of them.
    """

    nodes: dict[str, Node]
    edges: list[Edge]
    frames: dict[Frame, list[Frame]]
    copies: dict[Frame, tuple[Frame, ...]] = field(default_factory=dict)


class Zooms:
    """The views of one graph of a model.

    Args:
        everything: The dataflow.
        mode: Which graph.
        widths: How wide axes are and were.
    """

    def __init__(self, everything: Flow, mode: Mode, widths: Widths) -> None:
        self.flow, self.mode, self.widths = everything, mode, widths
        self.places = [p for p in everything.places.values() if mode in p.nodes and p.kind not in STATE]
        known = {place.id for place in self.places}
        self.into: dict[str, list[Stream]] = {
            p.id: [s for s in everything.into(p) if mode in s.modes and s.source in known] for p in self.places
        }
        self.axes = frozenset(axis._var for axis in widths.graph.axes)
        self.rank = {place.id: position for position, place in enumerate(self.places)}
        self._traced: dict[str, dict[str, tuple[str, ...]]] = {}
        self.plain = {place.id for place in self.places if not self._shown(place)}

    # ------------------------------------------------------------------ the zooms

    def model(self) -> View:
        """All of the model: blocks that repeat are one node, and others are opened as deep as a page can show."""
        folds = Folder(self.flow, self.mode, self.places, self.widths).folds()
        deepest = max((len(place.calls) for place in self.places), default=0)
        view = self._view(self.places, folds, self._closed(folds, 1))
        for depth in range(2, deepest + 1):
            deeper = self._view(self.places, folds, self._closed(folds, depth))
            if len(deeper.nodes) > READABLE:
                break
            view = deeper
        return view

    def block(self, path: str) -> View:
        """The inside of a module, all of it, and what it is connected to; "" is the whole model, unfolded.

        Raises:
            UnknownNameError: No module of this path computes anything.
        """
        inside = [p for p in self.places if not path or path in (call.partition("@")[0] for call in p.calls)]
        if not inside:
            paths = dict.fromkeys(call.partition("@")[0] for place in self.places for call in place.calls)
            raise UnknownNameError(unknown_name(path, list(paths), "module that computes something"))
        return self._view(inside, Folds({place.id: place.id for place in inside}), {})

    def axis(self, axis: Var) -> View:
        """All that one axis passes through, operator by operator; blocks that it passes alike are one."""
        carried = {s.source for streams in self.into.values() for s in streams if s.carries(axis)}
        targets = {name for name, streams in self.into.items() if any(s.carries(axis) for s in streams)}
        reads = {s.target for s in self.flow.streams if self.mode in s.modes and s.carries(axis)}
        found = [place for place in self.places if place.id in carried | targets | reads]
        folds = Folder(self.flow, self.mode, found, self.widths).folds()
        return self._view(found, folds, {}, axis)

    # --------------------------------------------------------------------- views

    def _shown(self, place: Place) -> bool:
        """Whether a place is a parameter's, a merge, or an end; others are drawn at the zoom of an axis only."""
        if place.kind != "operator":
            return True
        kinds = {self.flow.places[s.source].kind for s in self.flow.into(place) if self.mode in s.modes}
        if kinds & {"parameter", "quantizer"}:
            return True
        given = {s.source for s in self.into[place.id] if any(a in self.axes for dim in s.dims for a in variables(dim))}
        return len(given) > 1

    def _closed(self, folds: Folds, depth: int) -> dict[str, Frame]:
        """For each place that is drawn the frame that stands for it, where it is folded or too deep."""
        result: dict[str, Frame] = {}
        for place in self.places:
            ends = range(1, len(place.calls) + 1)
            folded = next((end for end in ends if place.calls[:end] in folds.copies), None)
            end = min(folded or depth, depth)
            if end <= len(place.calls):
                result[place.id] = place.calls[:end]
        shown: dict[Frame, int] = {}
        for name, frame in result.items():
            shown[frame] = shown.get(frame, 0) + (name not in self.plain and folds.place[name] == name)
        return {name: frame for name, frame in result.items() if shown[frame] > 1 or frame in folds.copies}

    def _view(self, selected: Iterable[Place], folds: Folds, closed: dict[str, Frame], axis: Var | None = None) -> View:
        nodes: dict[str, Node] = {}
        node_of: dict[str, str] = {}
        for place in selected:
            drawn = folds.place[place.id]
            if axis is None and drawn in self.plain:
                continue
            frame = closed.get(drawn, ())
            name = f"block {' '.join(frame)}" if frame else drawn
            node_of[place.id] = name
            node = nodes.setdefault(name, Node(name, [], frame[:-1] if frame else place.calls, frame))
            if not frame:
                node.places.append([place])
                continue
            copies = folds.copies.get(frame, (frame,))
            node.places = node.places or [[] for _ in copies]
            node.places[next(i for i, copy in enumerate(copies) if place.calls[: len(copy)] == copy)].append(place)
        edges = self._edges(nodes, node_of, folds, axis)
        return View(nodes, edges, _frames(nodes.values(), folds), folds.copies)

    def _edges(self, nodes: dict[str, Node], node_of: dict[str, str], folds: Folds, axis: Var | None) -> list[Edge]:
        """The edges of what is drawn; what flows in other copies joins them."""
        home = _common([nodes[name].frame for name in nodes])
        by_ends: dict[Hashable, Edge] = {}
        by_copy: dict[Hashable, Edge] = {}
        for target in self.places:
            if axis is None and target.id in self.plain:
                continue
            for stream in self.into[target.id]:
                if axis is not None and not stream.carries(axis):
                    continue
                for source, through in self._sources(stream.source, axis).items():
                    one, other = folds.place.get(source, source), folds.place.get(target.id, target.id)
                    drawn = (one, other, stream.operand)
                    if drawn in by_copy:
                        by_copy[drawn].streams.append(stream)
                        continue
                    ends = self._ends(source, target.id, nodes, node_of, home)
                    if ends is None or (ends[0] == ends[1] and nodes[ends[0]].block):
                        continue
                    again = (one, other) != (source, target.id) and self.rank[one] >= self.rank[other]
                    axes = tuple(variable for dim in stream.dims for variable in variables(dim))
                    edge = by_ends.setdefault((*ends, axes, again), Edge(*ends, [], through, again))
                    edge.streams.append(stream)
                    by_copy[drawn] = edge
        return list(by_ends.values())

    def _ends(
        self, source: str, target: str, nodes: dict[str, Node], node_of: dict[str, str], home: Frame
    ) -> tuple[str, str] | None:
        """The nodes of two places; one that is not in the view is named there if it is next to what is."""
        if source not in node_of and target not in node_of:
            return None
        found = []
        for name, side in ((source, "from"), (target, "to")):
            if name not in node_of:
                place = self.flow.places[name]
                shared = len(_common([home, place.calls]))
                what = f"{place.op} {place.module}" if place.module else place.id
                key = f"{side} {place.calls[shared] if len(place.calls) > shared else what}"
                nodes.setdefault(key, Node(key, [[]], (), outside=True)).places[0].append(place)
                found.append(key)
            else:
                found.append(node_of[name])
        return found[0], found[1]

    def _sources(self, name: str, axis: Var | None) -> dict[str, tuple[str, ...]]:
        """The places that are shown from which a place's value comes, and the operators between."""
        if axis is not None or name not in self.plain:
            return {name: ()}
        if name not in self._traced:
            op = self.flow.places[name].op
            found: dict[str, tuple[str, ...]] = {}
            for stream in self.into[name]:
                for source, through in self._sources(stream.source, axis).items():
                    found.setdefault(source, (*through, op))
            self._traced[name] = found
        return self._traced[name]


def _common(frames: Sequence[Frame]) -> Frame:
    """The frames that several lie in."""
    ends = 0
    for calls in zip(*frames, strict=False):
        if len(set(calls)) > 1:
            break
        ends += 1
    return frames[0][:ends] if frames else ()


def _frames(nodes: Iterable[Node], folds: Folds) -> dict[Frame, list[Frame]]:
    """The frames that are drawn open: those of several nodes, and those drawn for several."""
    counts: dict[Frame, int] = {(): 2}
    for node in nodes:
        for end in range(1, len(node.frame) + 1):
            counts[node.frame[:end]] = counts.get(node.frame[:end], 0) + 1
    frames: dict[Frame, list[Frame]] = {f: [] for f, count in counts.items() if count > 1 or f in folds.copies}
    for frame in [f for f in frames if f and f not in folds.copies]:
        if any(counts[other] == counts[frame] for other in frames if other[:-1] == frame):
            del frames[frame]  # all that it holds lies in one frame inside of it
    for frame in frames:
        if frame:
            outer = frame[:-1]
            while outer not in frames:
                outer = outer[:-1]
            frames[outer].append(frame)
    return frames
