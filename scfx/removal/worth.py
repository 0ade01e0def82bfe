"""Which branches are worth having other channels than their sum: the work that is saved against that of adding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from scfx.capture.program import Mode
from scfx.graph.branches import merges
from scfx.graph.channels import ChannelGraph
from scfx.graph.inference import Step
from scfx.graph.masks import narrow, over
from scfx.signatures.merging import OPERANDS, place_of, places_of
from scfx.signatures.pattern import Binding
from scfx.signatures.resizing import kept_size
from scfx.terms.dims import Dim, Var, variables
from scfx.terms.facts import Mask

#: What adding into some channels costs more than adding does, in multiplications for each element of the sum. By itself
#: it is 5 to 160, forward and backward (`python -m benchmarks.merging`); whole networks on one core were no slower in
#: training from about 250 on.
ADDING = 250


@dataclass(frozen=True)
class _Edge:
    """An operand of a merge, and the sum."""

    operand: Dim
    result: Dim
    places: NDArray[np.int64]
    elements: tuple[Dim, ...]

    def agrees(self, removed: Mapping[Var, Mask]) -> bool:
        """Whether the operand is left with the channels of the sum."""
        gone, lacks = self._gone(removed)
        return bool((gone == lacks[self.places]).all())

    def tie(self, removed: Mapping[Var, Mask]) -> dict[Var, Mask]:
        """The channels that go where a channel goes from the operand and from the sum or stays in both."""
        gone, lacks = self._gone(removed)
        result = dict(removed)
        narrow(self.operand, lacks[self.places], result)
        stays = np.zeros(len(lacks), bool)
        stays[self.places[~gone]] = True
        narrow(self.result, ~stays, result)
        return result

    def _gone(self, removed: Mapping[Var, Mask]) -> tuple[Mask, Mask]:
        kept = {axis: ~mask for axis, mask in removed.items()}
        return ~over(self.operand, kept), ~over(self.result, kept)


def worthwhile(graph: ChannelGraph, removed: Mapping[Var, Mask], modes: Sequence[Mode]) -> dict[Var, Mask]:
    """The channels that go if branches have other channels than their sum only where that saves more than it costs.

    A sum that adds into some channels already costs nothing more if there are fewer of them.

    Args:
        graph: The channel graph.
        removed: For each axis, the channels that could go.
        modes: The graphs that matter.
    """
    result = dict(removed)
    tied: list[_Edge] = []
    for mode in modes:
        layers = [dims for step in graph._inference.steps[mode] if (dims := _multiplied(step))]
        for edge in (edge for step in merges(graph, mode) for edge in _edges(step)):
            if edge.agrees(removed):
                tied.append(edge)
                continue
            touched = {*variables(edge.operand), *variables(edge.result)}
            near = [dims for dims in layers if any(axis in touched for dim in dims for axis in variables(dim))]
            saved = _work(near, edge.tie(removed)) - _work(near, removed)
            if saved < ADDING * _work([edge.elements], removed):
                tied.append(edge)
    while True:
        before = result
        for edge in tied:
            result = edge.tie(result)
        if all((result[axis] == mask).all() for axis, mask in before.items()):
            return result


def _edges(step: Step) -> list[_Edge]:
    """The operands of a merge that have all channels of the sum."""
    call, at = step.call, place_of(step.call)
    made = call.results[0]
    return [
        _Edge(call.operands[name][at], made[at], places_of(call, name), made)
        for name in OPERANDS
        if np.array_equal(places_of(call, name), np.arange(made[at].size))
    ]


def _multiplied(step: Step) -> tuple[Dim, ...]:
    """The dims whose sizes multiplied are the multiplications of a layer; none for what is no layer."""
    bound = step.call.binding
    if not isinstance(bound, Binding) or not any(sink.kind == "contract" for sink in step.call.sinks):
        return ()
    operands = [dim for name in step.record.weights(step.call) for dim in bound.operand(name)]
    letters = dict.fromkeys(x for dim in (*operands, *bound.signature.results[0]) for x in dim)
    return tuple(bound.dims[x] for x in letters) if operands else ()


def _work(layers: Sequence[tuple[Dim, ...]], removed: Mapping[Var, Mask]) -> int:
    """Multiplications; those that depend on sizes known at run time only come in multiples of the stand-ins."""
    kept = {axis: ~mask for axis, mask in removed.items()}
    return sum(prod(kept_size(dim, lambda each: over(each, kept)) for dim in dims) for dims in layers)
