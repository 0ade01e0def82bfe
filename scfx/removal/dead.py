"""Which channels are dead, which are only blocked, and by what: zero analysis on the tensors as they are now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import fx

from scfx.capture.program import MODES, Mode
from scfx.graph.branches import merges, through_merges
from scfx.graph.channels import ChannelGraph
from scfx.graph.masks import narrow, over
from scfx.removal.constants import Constants
from scfx.removal.worth import worthwhile
from scfx.removal.zero_facts import Channels, Entries, ZeroFacts
from scfx.removal.zeros import Excused, operand_facts
from scfx.terms.dims import Var, variables
from scfx.terms.facts import Mask


@dataclass(frozen=True)
class Dead:
    """What can go, and what is in the way.

    Attributes:
        removable: For each axis, the channels that can be removed without changing what is computed, now or after any
            further training. At least one channel of each axis is left.
        blocked: For each axis, the zero-bit channels that could be removed if it weren't for the `blockers`.
        blockers: The entries of biases, norm scales and shifts that are not yet zero, by parameter.
        yielding: The same with those that are zero at this moment, but need not stay it.
    """

    removable: Channels
    blocked: Channels
    blockers: Entries
    yielding: Entries


def find_dead(graph: ChannelGraph, earlier: Channels | None = None) -> Dead:
    """Looks for the channels that can be removed now, and for the blockers of those that are zero-bit but for them.

    Args:
        graph: The channel graph of a program, whose tensors are read as they are.
        earlier: The channels that were found to be removable before: see `spared`.
    """
    facts = ZeroFacts(graph)
    now = _largest(facts, {axis: np.ones(axis.size, bool) for axis in graph._prunable}, earlier or {})
    candidates = _zero_bit(graph, facts)
    if not any((mask & ~now[axis]).any() for axis, mask in candidates.items()):
        return Dead(now, {}, {}, {})
    entries = _assumable(graph, facts)

    def removable(channels: Channels) -> Channels:
        return facts.removable(channels, entries(channels), modes=("train",))

    would_go = _stable(removable, spared(_union(now, candidates), now), now)
    blocked = {axis: left for axis, mask in would_go.items() if (left := mask & ~now[axis]).any()}
    yielding = entries(blocked)
    blockers = {name: left for name, mask in yielding.items() if (left := mask & _alive(facts, name)).any()}
    return Dead(now, blocked, blockers, yielding)


def find_absorbable(
    graph: ChannelGraph, facts: ZeroFacts, constants: Iterable[Constants], modes: Sequence[Mode], earlier: Channels
) -> Channels:
    """The channels that can go now if layers take over the constants that these channels add to them.

    Args:
        graph: The channel graph of a program, whose tensors are read as they are.
        facts: What is zero in these tensors.
        constants: Which layers can take over what.
        modes: The graphs that matter.
        earlier: The channels that were found to be removable before: see `spared`.
    """
    everything = {axis: np.ones(axis.size, bool) for axis in graph._prunable}
    return _largest(facts, everything, earlier, modes, _excused(graph, constants, modes))


def _excused(graph: ChannelGraph, constants: Iterable[Constants], modes: Sequence[Mode]) -> Excused:
    """What the biases of layers will make up for."""
    nodes = {(mode, node.name): node for mode in modes for node in graph._program.graphs[mode].nodes}
    return {(nodes[mode, name], c.letter): c.mask for c in constants for mode, name in c.nodes.items()}


def worth_removing(
    graph: ChannelGraph,
    facts: ZeroFacts,
    channels: Channels,
    modes: Sequence[Mode] = MODES,
    constants: Iterable[Constants] = (),
) -> Channels:
    """Those of some channels that can go together which are worth it: see `scfx.removal.worth`.

    What stays for that reason may become something else than zero, so that what goes must be able to without it.

    Args:
        graph: The channel graph of a program, whose tensors are read as they are.
        facts: What is zero in these tensors.
        channels: What `find_dead` or `find_absorbable` found.
        modes, constants: As for `find_absorbable`.
    """
    while any(True for mode in modes for _ in merges(graph, mode)):
        fewer = worthwhile(graph, channels, modes)
        found = _largest(facts, fewer, {}, modes, _excused(graph, constants, modes))
        if _same(found, channels):
            break
        channels = found
    return channels


def _assumable(graph: ChannelGraph, facts: ZeroFacts) -> Callable[[Channels], Entries]:
    """Which entries of biases, norm scales and shifts can be let go to zero along with some channels.

    A bias or shift can: it adds to a weight that has no bits left. The scale of a norm that makes non-zero of zero
    (layer norm) can only where every weight of the channel has no bits left, or a living branch would die with it. Any
    other scale doesn't matter where what it scales is zero, so it is left alone.
    """
    vectors = _vectors(graph, facts)
    scales, makers = graph.scales
    shifts = {name: dim for name, dim in vectors.items() if name not in scales | makers}
    norms = {name: dim for name, dim in vectors.items() if name in makers}
    silent = _zero_bit(graph, facts, every=True)

    def entries(channels: Channels) -> Entries:
        wholly = {axis: mask & silent[axis] for axis, mask in channels.items() if axis in silent}
        return {**_entries(graph, shifts, channels), **_entries(graph, norms, wholly)}

    return entries


def _largest(
    facts: ZeroFacts,
    channels: Channels,
    earlier: Channels,
    modes: Sequence[Mode] = MODES,
    excused: Excused | None = None,
) -> Channels:
    """The largest set of channels that can go together, each of them without a trace."""

    def removable(channels: Channels) -> Channels:
        return facts.removable(channels, modes=modes, excused=excused)

    return _stable(removable, channels, earlier)


def _stable(removable: Callable[[Channels], Channels], channels: Channels, earlier: Channels) -> Channels:
    """The largest part of a set of channels that is removable on the strength of its own zeros only."""
    while True:
        found = removable(channels)
        narrower = spared({axis: mask & found[axis] for axis, mask in channels.items()}, earlier)
        if _same(narrower, channels) or not _any(narrower):
            return narrower
        channels = narrower


def _same(a: Channels, b: Channels) -> bool:
    return all((a[axis] == mask).all() for axis, mask in b.items())


def spared(channels: Channels, earlier: Channels) -> Channels:
    """The channels, less one of each axis that would lose all: one that wasn't to go `earlier`, or the first.

    Which one stays must not depend on how often channels are removed, or training would.
    """
    result: Channels = {}
    for axis, mask in channels.items():
        if mask.all():
            mask = mask.copy()
            before = earlier.get(axis)
            mask[0 if before is None or before.all() else int(np.argmin(before))] = False
        result[axis] = mask
    return result


def _any(channels: Channels) -> bool:
    return any(mask.any() for mask in channels.values())


def _union(a: Channels, b: Channels) -> Channels:
    return {axis: a[axis] | b[axis] if axis in b else a[axis] for axis in a}


def _alive(facts: ZeroFacts, name: str) -> Mask:
    """The entries of a vector that are not zero."""
    fact = next(fact for fact in facts.tensor(name).dims if fact.size != 1)
    mask = fact.flat()
    return np.ones(fact.size, bool) if mask is None else ~mask


def _zero_bit(graph: ChannelGraph, facts: ZeroFacts, every: bool = False) -> Channels:
    """For each axis, the channels of which some weight (or every weight) has no bits left."""
    result: Channels = {}
    for path in facts.quantized.values():
        (dim,) = graph._inference.state[f"{path}.bits"]
        masks = {axis: np.ones(axis.size, bool) for axis in variables(dim) if axis in graph._prunable}
        narrow(dim, facts.silent(path)[0], masks)
        for axis, mask in masks.items():
            before = result.get(axis, mask)
            result[axis] = before & mask if every else before | mask
    return through_merges(graph, result, every)


def _vectors(graph: ChannelGraph, facts: ZeroFacts) -> dict[str, int]:
    """The dim of each parameter trained as it is that runs along one only: biases, norm scales and shifts."""
    quantizers = tuple(f"{path}." for path in facts.quantized.values())
    result: dict[str, int] = {}
    for name, dims in graph._inference.state.items():
        real = [index for index, dim in enumerate(dims) if dim.size != 1]
        free = name in graph._parameters and name not in facts.quantized and not name.startswith(quantizers)
        if free and len(real) == 1 and facts.trained(name):
            result[name] = real[0]
    return result


def _entries(graph: ChannelGraph, vectors: Mapping[str, int], channels: Channels) -> Entries:
    """The entries of each vector that belong to some of the channels."""
    kept = {axis: ~mask for axis, mask in channels.items()}
    masks = (
        (name, ~over(graph._inference.state[name][dim], kept))
        for name, dim in vectors.items()
        if _touches(graph, name, dim, kept)
    )
    return {name: mask for name, mask in masks if mask.any()}


def trained_entries(graph: ChannelGraph, channels: Channels) -> dict[str, tuple[Mask | None, ...]]:
    """What parameters trained as they are have on some of the channels: for each dim a mask, or None for nothing."""
    facts = ZeroFacts(graph)
    quantizers = tuple(f"{path}." for path in facts.quantized.values())
    return {
        name: masks
        for name, masks in all_entries(graph, channels).items()
        if name not in facts.quantized and not name.startswith(quantizers) and facts.trained(name)
    }


def all_entries(graph: ChannelGraph, channels: Channels) -> dict[str, tuple[Mask | None, ...]]:
    """What parameters and buffers have on some of the channels: for each dim a mask, or None for nothing."""
    kept = {axis: ~mask for axis, mask in channels.items() if mask.any()}
    result: dict[str, tuple[Mask | None, ...]] = {}
    for name, dims in graph._inference.state.items():
        touched = [any(axis in kept for axis in variables(dim)) for dim in dims]
        if any(touched):
            result[name] = tuple(~over(dim, kept) if here else None for dim, here in zip(dims, touched, strict=True))
    return result


def _touches(graph: ChannelGraph, name: str, dim: int, axes: Mapping[Var, Mask]) -> bool:
    return any(axis in axes for axis in variables(graph._inference.state[name][dim]))


def settled_means(graph: ChannelGraph) -> Entries:
    """Entries of running means whose input is identically zero in training, so that the true mean is known: zero."""
    values = ZeroFacts(graph).forward("train")
    result: Entries = {}
    for step in graph._inference.steps["train"]:
        node = step.call.arguments.get("running_mean")
        if not isinstance(node, fx.Node) or node.op != "get_attr":
            continue
        mask = operand_facts(step.call, values)["input"].along(1)
        if mask is not None and mask.any():
            name = str(node.target)
            result[name] = result[name] & mask if name in result else mask
    return result
