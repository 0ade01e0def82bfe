"""How many channels an axis has, and how many it had before: two graphs of one model, compared by its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from scfx.errors import InputError
from scfx.reporting.drawing_style import palette
from scfx.reporting.flow import Place
from scfx.terms.dims import Dim, Take, Var, resolve, variables

if TYPE_CHECKING:
    from scfx.graph.channels import Axis, ChannelGraph


@dataclass(frozen=True)
class Strand:
    """An axis as it runs along one dim of a parameter.

    Attributes:
        axis: The axis; one of the graph before where it has but one channel left, and so is no axis any more.
        first: How many channels it had before.
        now: How many it has.
    """

    axis: Var
    first: int
    now: int


class Widths:
    """What is left of each axis of a graph.

    Args:
        graph: The channel graph.
        before: That of the same model before it lost channels; None where there is nothing to compare with.

    Raises:
        InputError: `before` is the graph of another model, or had fewer channels.
    """

    def __init__(self, graph: ChannelGraph, before: ChannelGraph | None = None) -> None:
        self.graph = graph
        self.before = before
        self._then: dict[Var, Var] = {}
        if before is not None:
            _check(graph, before)
            for name, dims in graph._inference.state.items():
                for dim, then in zip(dims, before._inference.state.get(name, ()), strict=False):
                    _match(resolve(dim), resolve(then), self._then)

    def first(self, axis: Var) -> int:
        """How many channels an axis had; as many as it has where that isn't known."""
        return self._then[axis].size if axis in self._then else axis.size

    @cached_property
    def unknown(self) -> int:
        """How many axes of the graph could not be found in the one before."""
        return sum(axis._var not in self._then for axis in self.graph.axes) if self.before is not None else 0

    def strands(self, name: str, dim: int, term: Dim) -> list[Strand]:
        """The axes along a dim of a parameter, those of which a single channel is left included."""
        found = [Strand(axis, self.first(axis), axis.size) for axis in dict.fromkeys(variables(term))]
        if not found and self.before is not None and name in self.before._inference.state:
            then = self.before._inference.state[name][dim]
            found = [Strand(axis, axis.size, 1) for axis in dict.fromkeys(variables(then))]
        return found

    def size_before(self, name: str, dim: int, term: Dim) -> int:
        """How many indices a dim of a parameter had."""
        dims = self.before._inference.state.get(name) if self.before is not None else None
        return term.size if dims is None else dims[dim].size

    @cached_property
    def gone(self) -> tuple[Axis, ...]:
        """The axes of the graph before that are none any more: a single channel of each is left."""
        matched = set(self._then.values())
        return () if self.before is None else tuple(a for a in self.before.axes if a._var not in matched)

    @cached_property
    def colours(self) -> dict[Var, str]:
        """A colour for each axis, of those before, too: the same for the same axis."""
        return {**(palette(self.before) if self.before is not None else {}), **palette(self.graph)}


def tensor_name(place: Place) -> str:
    """The state-dict name of the tensor that a parameter, a buffer or a quantizer gives."""
    return place.id.removesuffix("_quantizer") if place.kind == "quantizer" else place.id


def _check(graph: ChannelGraph, before: ChannelGraph) -> None:
    for name, dims in graph._inference.state.items():
        then = before._inference.state.get(name)
        if name not in graph._parameters or name.endswith(("_quantizer.bits", "_quantizer.exponent")):
            continue
        if then is None or len(then) != len(dims) or any(t.size < d.size for t, d in zip(then, dims, strict=True)):
            raise InputError(
                f"before= is no earlier graph of this model: {name} is "
                + ("not there" if then is None else "smaller there, or has other dimensions")
            )


def _match(now: Dim, then: Dim, found: dict[Var, Var]) -> None:
    """Pairs the axes of one dim at two times; what has changed its shape is left alone."""
    if isinstance(now, Var):
        if isinstance(then, Var) and then.size >= now.size:
            found.setdefault(now, then)
    elif isinstance(now, Take):
        if isinstance(then, Take):
            _match(resolve(now.source), resolve(then.source), found)
    elif type(now) is type(then) and len(now.parts) == len(then.parts):
        for one, other in zip(now.parts, then.parts, strict=True):
            _match(resolve(one), resolve(other), found)
