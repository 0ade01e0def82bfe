"""Repeated blocks, found by what they compute: a run of modules that are alike is drawn once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from scfx.capture.program import Mode
from scfx.reporting.flow import STATE, Flow, Place
from scfx.reporting.widths import Widths, tensor_name
from scfx.terms.dims import variables

#: A frame is a call of a module: the paths of the calls that it happens in, outermost first, and its own.
Frame = tuple[str, ...]


@dataclass
class Folds:
    """Which places stand for which others.

    Attributes:
        place: By id, for each place the one that is drawn in its stead; itself where it isn't folded.
        copies: For each frame that is drawn for several, all of them, itself first.
    """

    place: dict[str, str]
    copies: dict[Frame, tuple[Frame, ...]] = field(default_factory=dict)

    def stand_ins(self) -> dict[str, list[str]]:
        """For each place that is drawn those that it stands for, in order."""
        result: dict[str, list[str]] = {}
        for name, drawn in self.place.items():
            result.setdefault(drawn, []).append(name)
        return result


class Folder:
    """Finds runs of frames that are alike.

    Args:
        everything: The dataflow.
        mode: Which graph.
        places: What of it is looked at, in order.
        widths: How wide axes were: two layers that have lost different channels are alike.
    """

    def __init__(self, everything: Flow, mode: Mode, places: Iterable[Place], widths: Widths) -> None:
        self.flow, self.mode, self.widths = everything, mode, widths
        self.places = list(places)
        self.rank = {place.id: position for position, place in enumerate(self.places)}
        self.inside: dict[Frame, list[Place]] = {}
        for place in self.places:
            for end in range(len(place.calls) + 1):
                self.inside.setdefault(place.calls[:end], []).append(place)
        self.children: dict[Frame, list[Frame]] = {}
        for frame in self.inside:
            if frame:
                self.children.setdefault(frame[:-1], []).append(frame)

    def folds(self) -> Folds:
        """All runs, the outermost first, and inside of what is drawn."""
        found = Folds({place.id: place.id for place in self.places})
        self._fold((), found)
        return found

    def _fold(self, frame: Frame, found: Folds) -> None:
        folded: set[Frame] = set()
        for run in self._runs(self.children.get(frame, [])):
            found.copies[run[0]] = tuple(run)
            folded |= set(run[1:])
        for child in self.children.get(frame, []):
            if child not in folded:
                self._fold(child, found)
        for first in [child for child in self.children.get(frame, []) if child in found.copies]:
            for copy in found.copies[first][1:]:
                for own, other in zip(self.inside[first], self.inside[copy], strict=True):
                    found.place[other.id] = found.place[own.id]

    def _runs(self, children: list[Frame]) -> list[list[Frame]]:
        runs: list[list[Frame]] = []
        last: Hashable = None
        for child in children:
            own = self._signature(child) if self._composite(child) else None
            if own is not None and own == last and self._follows(child, runs[-1]):
                runs[-1].append(child)
            else:
                runs.append([child])
            last = own
        return [run for run in runs if len(run) > 1]

    def _composite(self, frame: Frame) -> bool:
        return bool(self.children.get(frame)) and len(self.inside[frame]) > 1

    def _follows(self, frame: Frame, run: list[Frame]) -> bool:
        """Whether a frame takes what it takes from the last one of a run, or from what was there before all of it."""
        allowed = {place.id for one in (run[-1], frame) for place in self.inside[one]}
        start = self.rank[self.inside[run[0]][0].id]
        sources = {source for place in self.inside[frame] for source in self._sources(place)}
        return all(source in allowed or self.rank.get(source, start) < start for source in sources)

    def _sources(self, place: Place) -> list[str]:
        return [s.source for s in self.flow.into(place) if self.mode in s.modes and s.source in self.rank]

    def _signature(self, frame: Frame) -> Hashable:
        """All that is drawn of a frame, but for names."""
        index = {place.id: position for position, place in enumerate(self.inside[frame])}
        return tuple(self._described(place, frame, index) for place in self.inside[frame])

    def _described(self, place: Place, frame: Frame, index: Mapping[str, int]) -> Hashable:
        path = frame[-1].partition("@")[0]
        calls = tuple(_inside(call, path) for call in place.calls[len(frame) :])
        pins = tuple(any(axis.pin for axis in variables(dim)) for dims in place.made for dim in dims)
        given: list[Hashable] = []
        for stream in self.flow.into(place):
            if self.mode not in stream.modes:
                continue
            source = self.flow.places[stream.source]
            if source.kind in STATE:
                name = tensor_name(source)
                sizes = [self.widths.size_before(name, at, dim) for at, dim in enumerate(stream.dims)]
                given.append((stream.operand, _inside(source.id, path), *sizes))
            else:
                given.append((stream.operand, index.get(stream.source, -1)))
        return place.target, calls, pins, tuple(given)


def _inside(name: str, path: str) -> str:
    """A name as it is called inside a module."""
    return name.removeprefix(f"{path}.")
