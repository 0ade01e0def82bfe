"""Which channels are dead, which are only blocked, and by what: zero analysis on the tensors as they are now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx

from scfx.channels import ChannelGraph
from scfx.dims import Dim, Var, variables
from scfx.facts import Fact, Mask, Zeros, known, unknown
from scfx.masks import narrow, over
from scfx.program import MODES, Mode
from scfx.quantizer import Quantizer
from scfx.zeros import GraphZeros, forward_zeros, operand_facts, removable

#: Entries of parameters, by state-dict name: one mask for the one dimension of each.
Entries = dict[str, Mask]

#: For some axes, the marked channels.
Channels = dict[Var, Mask]


@dataclass(frozen=True)
class Dead:
    """What can go, and what is in the way.

    Attributes:
        removable: For each axis, the channels that can be removed without changing what is computed, now or after any
            further training. At least one channel of each axis is left.
        blocked: For each axis, the zero-bit channels that could be removed if it weren't for the `blockers`.
        blockers: The entries of biases, norm scales and shifts that are not yet zero, by parameter.
    """

    removable: Channels
    blocked: Channels
    blockers: Entries


class ZeroFacts:
    """What is zero in the tensors of a program, each read once.

    The weight behind a quantizer is zero where its quantizer has no bits left, and nowhere else: other zeros may yet
    become something else in training. For the same reason entries of a trained parameter count only on channels that
    are to go (`within`). Buffers that the model writes to by itself are never taken for zero.
    """

    def __init__(self, graph: ChannelGraph) -> None:
        self._graph = graph
        self._root = graph._program.root
        self._zeros: dict[str, Zeros] = {}
        self._quantizers: dict[str, tuple[Mask, int]] = {}
        self._tensors = {**dict(self._root.named_parameters()), **dict(self._root.named_buffers())}
        modules = (n for mode in MODES for n in graph._program.graphs[mode].nodes if n.op == "call_module")
        self.quantized = {
            str(node.args[0].target): str(node.target) for node in modules if isinstance(node.args[0], fx.Node)
        }

    def removable(self, within: Channels, assumed: Entries | None = None, modes: Sequence[Mode] = MODES) -> Channels:
        """The channels that could go, if those `within` went and the `assumed` entries were zero."""
        state = _State(self, {axis: ~mask for axis, mask in within.items()}, assumed or {})
        graph = self._graph
        return removable(graph._program, graph._inference, graph._prunable, state, self.quantizer, modes)

    def forward(self, mode: Mode) -> GraphZeros:
        """What is zero in every value of one graph, as things are."""
        return forward_zeros(self._graph._program, self._graph._inference, mode, self.tensor, self.quantizer)

    def tensor(self, name: str) -> Zeros:
        """What is zero in a parameter or buffer as it is."""
        if name not in self._zeros:
            tensor = self._tensors[name]
            skipped = name in self.quantized or name in self._graph._inference.mutated
            self._zeros[name] = Zeros.unknown(tuple(tensor.shape)) if skipped else tensor_zeros(tensor)
        return self._zeros[name]

    def trained(self, name: str) -> bool:
        """Whether the optimizer may change this tensor."""
        return self._tensors[name].requires_grad

    def silent(self, path: str) -> tuple[Mask, int]:
        """The silent channels of a quantizer, and the dim of its weight that they lie along."""
        if path not in self._quantizers:
            quantizer = self._root.get_submodule(path)
            assert isinstance(quantizer, Quantizer)
            silent = (
                np.zeros(quantizer.bits.numel(), bool) if quantizer.bits.is_meta else quantizer.silent().cpu().numpy()
            )
            self._quantizers[path] = (silent, quantizer.dim)
        return self._quantizers[path]

    def quantizer(self, path: str, weight: Zeros) -> Zeros:
        """What is zero in what a quantizer makes: its silent channels."""
        silent, dim = self.silent(path)
        size = weight.dims[dim].size
        if len(silent) == size:
            return weight.replaced(dim, known(silent))
        table = silent.reshape(-1, size)  # (groups, outputs) of a grouped transposed convolution
        whole_groups, everywhere = np.asarray(table.all(axis=1)), np.asarray(table.all(axis=0))
        groups = Fact((len(table), weight.dims[0].size // len(table)), (whole_groups, None))
        return weight.replaced(dim, known(everywhere)).replaced(0, groups)


class _State:
    """The zeros of parameters and buffers under an assumption: see `ZeroFacts.removable`."""

    def __init__(self, facts: ZeroFacts, kept: Channels, assumed: Entries) -> None:
        self._facts, self._kept, self._assumed = facts, kept, assumed
        self._found: dict[str, Zeros] = {}

    def __call__(self, name: str) -> Zeros:
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Zeros:
        zeros = self._facts.tensor(name)
        if self._facts.trained(name):
            dims = self._facts._graph._inference.state[name]
            zeros = Zeros.of(self._on_channels_that_go(fact, dim) for fact, dim in zip(zeros.dims, dims, strict=True))
        assumed = self._assumed.get(name)
        if assumed is None:
            return zeros
        at = next(dim for dim, fact in enumerate(zeros.dims) if fact.size != 1)
        found = zeros.dims[at].flat()
        return zeros.replaced(at, known(assumed if found is None else assumed | found))

    def _on_channels_that_go(self, fact: Fact, dim: Dim) -> Fact:
        mask = fact.flat()
        return unknown(fact.size) if mask is None else known(mask & ~over(dim, self._kept))


def fetch(root: torch.nn.Module, name: str) -> torch.Tensor:
    """A parameter or buffer by its state-dict name."""
    path, _, attribute = name.rpartition(".")
    tensor = getattr(root.get_submodule(path), attribute)
    assert isinstance(tensor, torch.Tensor)
    return tensor


def tensor_zeros(tensor: torch.Tensor) -> Zeros:
    """Where a tensor is zero along each of its dims. NaN is not zero; on the meta device nothing is known."""
    shape = tuple(tensor.shape)
    if tensor.is_meta or tensor.numel() == 0:
        return Zeros.unknown(shape)
    nonzero = tensor.detach() != 0
    if not shape:
        return Zeros((), not bool(nonzero))
    facts: list[Fact] = []
    for dim, size in enumerate(shape):
        rest = [other for other in range(len(shape)) if other != dim]
        alive = nonzero.any(dim=rest) if rest else nonzero
        facts.append(unknown(size) if size == 1 and alive.all() else known(~alive.cpu().numpy()))
    return Zeros.of(facts)


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
        return Dead(now, {}, {})
    entries = _assumable(graph, facts)
    would_go = spared(_union(now, candidates), now)
    while True:
        found = facts.removable(would_go, entries(would_go), modes=("train",))
        narrower = spared({axis: mask & found[axis] for axis, mask in would_go.items()}, now)
        if all((narrower[axis] == mask).all() for axis, mask in would_go.items()) or not _any(narrower):
            break
        would_go = narrower
    blocked = {axis: left for axis, mask in narrower.items() if (left := mask & ~now[axis]).any()}
    blockers = {name: left for name, mask in entries(blocked).items() if (left := mask & _alive(facts, name)).any()}
    return Dead(now, blocked, blockers)


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


def _largest(facts: ZeroFacts, channels: Channels, earlier: Channels) -> Channels:
    """The largest set of channels that can go together, each of them without a trace."""
    while True:
        found = facts.removable(channels)
        narrower = spared({axis: mask & found[axis] for axis, mask in channels.items()}, earlier)
        if all((narrower[axis] == mask).all() for axis, mask in channels.items()) or not _any(narrower):
            return narrower
        channels = narrower


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
    return result


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
    kept = {axis: ~mask for axis, mask in channels.items() if mask.any()}
    quantizers = tuple(f"{path}." for path in facts.quantized.values())
    result: dict[str, tuple[Mask | None, ...]] = {}
    for name, dims in graph._inference.state.items():
        if name in facts.quantized or name.startswith(quantizers) or not facts.trained(name):
            continue
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
