"""Where values that have an axis in common meet, and what they come from: the reasons why an axis is one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from scfx.reporting.flow import STATE, Flow, Place, Stream
from scfx.reporting.wording import modules_text, source_line
from scfx.terms.dims import Var, variables

#: How many sources of one value are named.
SOURCES = 3

#: Operators that leave a value as it is, so that it is better named by what made it.
_PLAIN = frozenset({"to", "contiguous", "clone", "alias", "detach", "dropout"})


@dataclass(frozen=True)
class Join:
    """An operator at which several values with an axis in common meet.

    Attributes:
        place: The operator.
        sources: What each value comes from; a value that comes from the same as another one isn't repeated.
        contracted: Whether the operator multiplies the values and sums over the axis.
    """

    place: Place
    sources: tuple[tuple[str, ...], ...]
    contracted: bool

    @property
    def names(self) -> frozenset[str]:
        """All that the values come from."""
        return frozenset(name for names in self.sources for name in names)


def join_at(everything: Flow, place: Place, axis: Var, given: Iterable[Stream]) -> Join | None:
    """What meets at a place along an axis; None where nothing does.

    Args:
        everything: The dataflow.
        place: An operator.
        axis: The axis.
        given: What brings the axis there.
    """
    streams = {(stream.source, str(stream.dims)): stream for stream in given}
    contracted = any(sink.kind == "contract" and axis in variables(sink.dim) for sink in place.sinks)
    leaves = any(axis in variables(dim) for dims in place.made for dim in dims)
    if len(streams) < 2 or not (leaves or contracted):
        return None
    sources = tuple(dict.fromkeys(_sources(everything, stream, axis, place.module) for stream in streams.values()))
    if len(sources) == 1 and not contracted and all(_once(dims, axis) for dims in place.made):
        return None  # parts of one value, each with all channels: they'd be one axis anyway
    return Join(place, sources, contracted)


def _once(dims: Iterable[object], axis: Var) -> bool:
    """Whether an axis runs along the dims of a tensor at most once."""
    return sum(variable is axis for dim in dims for variable in variables(dim)) <= 1  # type: ignore[arg-type]


def _sources(everything: Flow, stream: Stream, axis: Var, home: str) -> tuple[str, ...]:
    """What a value comes from: the operators of other modules that it was made by, or those that made the axis."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    due = [stream.source]
    while due:
        name = due.pop()
        if name in seen:
            continue
        seen.add(name)
        place = everything.places[name]
        before = [s.source for s in carrying(everything, place, axis)] if place.kind == "operator" else []
        if before and (place.module == home or place.op in _PLAIN):
            due += reversed(before)
        else:
            found[_name(place, home)] = None
    return tuple(found)


def carrying(everything: Flow, place: Place, axis: Var) -> tuple[Stream, ...]:
    """The streams that bring an axis to a place, parameters and buffers aside; in eval mode if it is there."""
    mode = "eval" if "eval" in place.nodes else "train"
    return tuple(
        stream
        for stream in everything.into(place)
        if mode in stream.modes and stream.carries(axis) and everything.places[stream.source].kind not in STATE
    )


def _name(place: Place, home: str) -> str:
    """A place as it is called inside a module."""
    if place.kind == "input":
        return f"model input {place.op}".strip()
    inside = place.module.removeprefix(f"{home}.") if home else place.module
    return f"{place.op} {'' if place.module == home else inside}".strip()


def texts(joins: Iterable[Join]) -> list[str]:
    """A line for each module and what meets there; what is so in several modules is said once."""
    runs: list[list[Join]] = []
    for join in joins:
        if runs and _alike(runs[-1], join):
            runs[-1].append(join)
        else:
            runs.append([join])
    by_module = groupby(runs, lambda run: run[0].place.module)
    said = [(module, [_text(run) for run in found]) for module, found in by_module]
    return [
        line
        for same, found in groupby(said, lambda block: block[1])
        for line in _lines([module for module, _ in found], same)
    ]


def _alike(run: list[Join], join: Join) -> bool:
    """Whether the same values meet again in the same module, or parts of one of them."""
    names = frozenset(name for other in run for name in other.names)
    parts = all(len(other.sources) == 1 for other in run)
    same = names == join.names or (names < join.names and parts) or (join.names < names and len(join.sources) == 1)
    return same and (run[-1].place.module, run[-1].contracted) == (join.place.module, join.contracted)


def _lines(modules: list[str], said: list[tuple[str, str]]) -> Iterator[str]:
    where = f" in {modules_text(modules)}" if modules[0] else ""
    for operators, rest in said:
        yield f"{operators}{where}{', each' if len(modules) > 1 else ''}: {rest}"


def _text(run: list[Join]) -> tuple[str, str]:
    """The operators, and what meets at the first of those where most does, with its source line."""
    told = max(run, key=lambda join: (len(join.names), len(join.sources)))
    values = [_listed(names) for names in told.sources]
    meet = " with ".join(values) if len(values) > 1 else f"parts of {values[0]}"
    how = ", multiplied and summed over it" if told.contracted else ""
    line = source_line(next(iter(told.place.nodes.values())))
    return ", ".join(dict.fromkeys(join.place.op for join in run)), f"{meet}{how}{line and f'   [{line}]'}"


def _listed(names: tuple[str, ...]) -> str:
    rest = len(names) - SOURCES
    return " and ".join(names if rest <= 0 else [*names[:SOURCES], f"{rest} more"])
