"""Channels that have no bits, weight by weight: which of them go, which are blocked and by what, why others stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from scfx.capture.program import MODES
from scfx.graph.branches import merges
from scfx.graph.channels import ChannelGraph
from scfx.graph.masks import narrow, over
from scfx.removal.dead import Dead, find_dead, worth_removing
from scfx.removal.zero_facts import Channels, ZeroFacts, fetch
from scfx.terms.dims import Dim, variables
from scfx.terms.facts import Mask

TOGETHER = "others of this weight that they could only go with have bits"
LAST = "one channel of each dimension always stays"
COSTLY = "adding into some channels only would cost more than it saves"
HEARD = "not zero behind them, for another reason than a bias, a shift or a norm's scale"


@dataclass(frozen=True)
class Blocker:
    """A parameter that keeps channels without bits from being removed.

    Attributes:
        name: Its state-dict name.
        entries: How many of its entries are in the way: they shrink to zero with each `net.update()`.
        largest: The largest of their magnitudes.
    """

    name: str
    entries: int
    largest: float


@dataclass(frozen=True)
class ZeroBits:
    """The output channels of one weight that have no bits, by index, and what becomes of them.

    Attributes:
        weight: Its state-dict name.
        channels: How many output channels it has.
        removable: Those that the next removal takes.
        blocked: Those that wait until `blockers` are zero.
        blockers: What they wait for.
        staying: The others, by the reason why they stay.
    """

    weight: str
    channels: int
    removable: tuple[int, ...]
    blocked: tuple[int, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    staying: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many channels have no bits."""
        return len(self.removable) + len(self.blocked) + sum(map(len, self.staying.values()))


def find_zero_bits(graph: ChannelGraph, earlier: Channels) -> tuple[ZeroBits, ...]:
    """Looks for them in the tensors as they are now: one record for each weight that has any, those with most first.

    Args:
        graph: The channel graph of a program.
        earlier: The channels that were found to be removable before: see `spared`.
    """
    facts = ZeroFacts(graph)
    if not any(facts.silent(path)[0].any() for path in facts.quantized.values()):
        return ()
    return _Search(graph, facts, find_dead(graph, earlier)).found


class _Search:
    """The weights of a graph against what can go of it."""

    def __init__(self, graph: ChannelGraph, facts: ZeroFacts, dead: Dead) -> None:
        self.graph, self.facts, self.dead = graph, facts, dead
        self.weights: dict[str, str] = {}
        for name, path in facts.quantized.items():
            self.weights.setdefault(path, name)
        branches = any(True for mode in MODES for _ in merges(graph, mode))
        self.goes = worth_removing(graph, facts, dead.removable) if branches else dead.removable

    @cached_property
    def found(self) -> tuple[ZeroBits, ...]:
        found = [self._of(path) for path in self.weights if self.facts.silent(path)[0].any()]
        return tuple(sorted(found, key=lambda each: -each.count))

    def _of(self, path: str) -> ZeroBits:
        dim, rest = self._dim(path), self.facts.silent(path)[0].copy()

        def taken(mask: Mask) -> tuple[int, ...]:
            """The indices of a mask that nothing was said of yet."""
            nonlocal rest
            result = tuple(np.flatnonzero(mask & rest).tolist())
            rest = rest & ~mask
            return result

        removable = taken(_touched(dim, self.goes))
        costly = taken(_touched(dim, self.dead.removable))
        blockers = self._blockers(dim, _touched(dim, self.dead.blocked) & rest)
        blocked = taken(_touched(dim, self.dead.blocked))
        staying = {COSTLY: costly}
        for axis in variables(dim):
            if axis not in self.graph._prunable:
                reason = f"pinned: {axis.pin.reason}" if axis.pin else "not to shrink"
                staying[reason] = (*staying.get(reason, ()), *taken(_touched(dim, {axis: np.ones(axis.size, bool)})))
        staying[TOGETHER] = taken(_touched(dim, self._alive(path)))
        for other, name in self.weights.items():
            if other != path and rest.any():
                staying[f"{name} has bits for them"] = taken(_touched(dim, self._alive(other)))
        staying[LAST] = taken(_touched(dim, self._last(dim)) | (len(rest) == 1))
        staying[HEARD] = taken(np.ones(len(rest), bool))
        kept = {reason: channels for reason, channels in staying.items() if channels}
        return ZeroBits(self.weights[path], len(rest), removable, blocked, blockers, kept)

    def _dim(self, path: str) -> Dim:
        (dim,) = self.graph._inference.state[f"{path}.bits"]
        return dim

    def _alive(self, path: str) -> Channels:
        """The channels that some output channel with bits of a weight makes."""
        dim = self._dim(path)
        silent = {axis: np.ones(axis.size, bool) for axis in variables(dim)}
        narrow(dim, self.facts.silent(path)[0], silent)
        return {axis: ~mask for axis, mask in silent.items()}

    def _last(self, dim: Dim) -> Channels:
        """The channel of each axis that stays when all others go."""
        gone = {axis: self.dead.removable[axis] for axis in variables(dim) if axis in self.dead.removable}
        gone = {axis: mask | self.dead.blocked.get(axis, mask) for axis, mask in gone.items()}
        return {axis: ~mask for axis, mask in gone.items() if (~mask).sum() == 1}

    def _blockers(self, dim: Dim, blocked: Mask) -> tuple[Blocker, ...]:
        channels = {axis: mask.copy() for axis in variables(dim) if (mask := self.dead.blocked.get(axis)) is not None}
        narrow(dim, blocked, channels)
        result = []
        for name, entries in self.dead.blockers.items():
            along = next(each for each in self.graph._inference.state[name] if each.size != 1)
            here = entries & _touched(along, channels)
            if here.any():
                values = fetch(self.graph._program.root, name).detach().reshape(-1).abs().cpu().double().numpy()
                result.append(Blocker(name, int(here.sum()), float(values[here].max())))
        return tuple(sorted(result, key=lambda each: -each.entries))


def _touched(dim: Dim, channels: Channels) -> Mask:
    """The indices of a dim that some of the channels occupy."""
    result: Mask = ~over(dim, {axis: ~mask for axis, mask in channels.items()})
    return result
