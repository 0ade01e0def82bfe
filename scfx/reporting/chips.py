"""Dims as they are drawn: a size for each dim of each parameter, with the axes behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from scfx.capture.program import Mode
from scfx.reporting.drawing_style import TIMES
from scfx.reporting.flow import STATE, Flow, Place, Stream
from scfx.reporting.widths import Strand, Widths, tensor_name
from scfx.reporting.zooms import Node
from scfx.terms.dims import Dim, Var, resolve

#: More chips than this in a block are put together by what they say.
MANY = 6

#: The pin of a dimension that is no channel at all.
KERNEL = "convolution kernel"


@dataclass(frozen=True, eq=False)
class Chip:
    """One dim of a parameter, or the same dim in several copies of a block, or several dims that say the same.

    Attributes:
        name, dim: The parameter, and which of its dims.
        strands: The axes behind it.
        first: How many indices it had, for each copy.
        now: How many it has.
        alike: How many dims of one copy it stands for.
    """

    name: str
    dim: int
    strands: tuple[Strand, ...]
    first: tuple[int, ...]
    now: tuple[int, ...]
    alike: int = 1

    @property
    def axes(self) -> tuple[Var, ...]:
        """The axes, each once."""
        return tuple(dict.fromkeys(strand.axis for strand in self.strands))

    @property
    def pins(self) -> tuple[str, ...]:
        """The reasons why some of them stay, each once."""
        return tuple(dict.fromkeys(axis.pin.reason for axis in self.axes if axis.pin is not None))

    @property
    def share(self) -> float:
        """Which share of its indices is left, from 0 to 1."""
        return sum(self.now) / max(1, sum(self.first))

    @property
    def text(self) -> str:
        """Its size, of several copies the smallest and the largest; before and after, where that differs."""
        now, first = _span(self.now), _span(self.first)
        many = f"{self.alike}{TIMES}" if self.alike > 1 else ""
        return f"{many}{now}" if now == first else f"{many}{first} → {now}"


@dataclass(frozen=True, eq=False)
class Row:
    """Parameters of one shape that an operator reads.

    Attributes:
        names: What they are called there.
        chips: A chip for each dim; a text for the dims of a convolution's window.
    """

    names: tuple[str, ...]
    chips: tuple[Chip | str, ...]


class Chips:
    """Makes the chips of nodes."""

    def __init__(self, everything: Flow, mode: Mode, widths: Widths) -> None:
        self.flow, self.mode, self.widths = everything, mode, widths
        self._readers: dict[Var, set[str]] = {}
        for place in everything.places.values():
            for stream in self.state(place):
                for chip in self._of([stream]):
                    for axis in chip.axes if isinstance(chip, Chip) else ():
                        self._readers.setdefault(axis, set()).add(place.id)

    def state(self, place: Place) -> list[Stream]:
        """The parameters and buffers that a place reads."""
        into = self.flow.into(place) if self.mode in place.nodes else []
        return [s for s in into if self.mode in s.modes and self.flow.places[s.source].kind in STATE]

    def rows(self, node: Node) -> list[Row]:
        """What an operator reads, parameters of one shape in one row."""
        found: dict[object, Row] = {}
        copies = [self.state(copy[0]) for copy in node.places]
        for index, stream in enumerate(copies[0]):
            source = self.flow.places[stream.source]
            if source.kind == "buffer":
                continue
            name = stream.operand if "[" not in stream.operand else source.id.rpartition(".")[2]
            uses = sum(self.mode in other.modes and other.source == source.id for other in self.flow.streams)
            remarks = ["quantized"] if source.kind == "quantizer" else []
            remarks += [f"used {uses} times"] if uses > 1 else []
            name += f" ({', '.join(remarks)})" if remarks else ""
            chips = self._of([streams[index] for streams in copies])
            key = tuple((c.axes, c.first, c.now) if isinstance(c, Chip) else c for c in chips)
            known = found.get(key, Row((), chips))
            found[key] = Row((*known.names, name), known.chips)
        return list(found.values())

    def block(self, node: Node) -> tuple[list[Chip], list[Chip]]:
        """The axes of a block: those that no parameter outside of it is on, and the others."""
        own: list[Chip] = []
        shared: list[Chip] = []
        seen: set[Var] = set()
        inside = {place.id for place in node.places[0]}
        for index in range(len(node.places[0])):
            copies = [self.state(copy[index]) for copy in node.places]
            for at in range(len(copies[0])):
                for chip in self._of([streams[at] for streams in copies]):
                    if not isinstance(chip, Chip) or not chip.axes or set(self._first(chip)) <= seen:
                        continue
                    seen |= set(self._first(chip))
                    local = all(self._readers[axis] <= inside for axis in self._first(chip))
                    (own if local else shared).append(chip)
        return _together(own), _together(shared)

    def entries(self, node: Node) -> int:
        """How many entries the parameters of one copy of a block have."""
        found = {s.source: s.dims for place in node.places[0] for s in self.state(place)}
        return sum(prod(d.size for d in dims) for name, dims in found.items() if self._is_parameter(name))

    def _is_parameter(self, name: str) -> bool:
        return self.flow.places[name].kind != "buffer"

    def _first(self, chip: Chip) -> list[Var]:
        """The axes of a chip in the copy that is drawn."""
        term = self.widths.graph.dims(chip.name)[chip.dim]
        return [strand.axis for strand in self.widths.strands(chip.name, chip.dim, term)]

    def _of(self, copies: Sequence[Stream]) -> tuple[Chip | str, ...]:
        """The dims of what an operator reads, of which there may be copies."""
        return tuple(self._chips(copies))

    def _chips(self, copies: Sequence[Stream]) -> Iterator[Chip | str]:
        name = tensor_name(self.flow.places[copies[0].source])
        for at, dim in enumerate(copies[0].dims):
            strands: list[Strand] = []
            first, now = [], []
            for copy in copies:
                one = tensor_name(self.flow.places[copy.source])
                strands += self.widths.strands(one, at, copy.dims[at])
                first.append(self.widths.size_before(one, at, copy.dims[at]))
                now.append(copy.dims[at].size)
            if _is_kernel(dim) or not strands:
                yield f"{dim.size:,}"
                continue
            yield Chip(name, at, tuple(strands), tuple(first), tuple(now))


def _is_kernel(dim: Dim) -> bool:
    dim = resolve(dim)
    return isinstance(dim, Var) and dim.pin is not None and dim.pin.reason == KERNEL


def _span(sizes: Sequence[int]) -> str:
    low, high = min(sizes), max(sizes)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _together(chips: list[Chip]) -> list[Chip]:
    """Chips of one text as one, where there are many."""
    if len(chips) <= MANY:
        return chips
    found: dict[object, list[Chip]] = {}
    for chip in chips:
        found.setdefault((chip.text, chip.pins), []).append(chip)
    return [
        Chip(
            group[0].name,
            group[0].dim,
            tuple(strand for chip in group for strand in chip.strands),
            tuple(size for chip in group for size in chip.first),
            tuple(size for chip in group for size in chip.now),
            len(group),
        )
        for group in found.values()
    ]
