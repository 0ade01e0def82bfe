"""Which channels are dead, which are only blocked, and by what: zero analysis on the tensors as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx

from scfx.channels import ChannelGraph
from scfx.dims import Var, variables
from scfx.facts import Fact, Mask, Zeros, known, unknown
from scfx.masks import narrow, over
from scfx.program import MODES
from scfx.quantizer import Quantizer
from scfx.zeros import forward_zeros, operand_facts, removable

#: Entries of parameters, by state-dict name: one mask for the one dimension of each.
Entries = dict[str, Mask]


@dataclass(frozen=True)
class Dead:
    """What can go, and what is in the way.

    Attributes:
        removable: For each axis, the channels that can be removed without changing what is computed.
        blocked: For each axis, the channels that could be if it weren't for the `blockers`.
        blockers: The entries of biases, norm scales and shifts that are not yet zero, by parameter.
    """

    removable: dict[Var, Mask]
    blocked: dict[Var, Mask]
    blockers: Entries


class ZeroFacts:
    """What is zero in the tensors of a program, read once.

    The weight behind a quantizer is zero where its quantizer has no bits left, and nowhere else: other zeros may yet become
    something else in training. Buffers that the model writes to are never taken for zero, running statistics aside.
    """

    def __init__(self, graph: ChannelGraph) -> None:
        self._graph = graph
        self._root = graph._program.root
        self._assumed: Mapping[str, Mask] = {}
        self._cache: dict[str, Zeros] = {}
        modules = (n for mode in MODES for n in graph._program.graphs[mode].nodes if n.op == "call_module")
        self.quantized = {str(node.args[0].target): str(node.target) for node in modules if isinstance(node.args[0], fx.Node)}

    def assuming(self, entries: Entries) -> ZeroFacts:
        """The same facts, as if these entries were zero."""
        other = ZeroFacts.__new__(ZeroFacts)
        other.__dict__.update(self.__dict__)
        other._assumed = entries
        return other

    def state(self, name: str) -> Zeros:
        """What is zero in a parameter or buffer."""
        if name not in self._cache:
            tensor = fetch(self._root, name)
            skipped = name in self.quantized or name in self._graph._inference.mutated
            self._cache[name] = Zeros.unknown(tuple(tensor.shape)) if skipped else tensor_zeros(tensor)
        zeros = self._cache[name]
        assumed = self._assumed.get(name)
        if assumed is None:
            return zeros
        at = next(dim for dim, fact in enumerate(zeros.dims) if fact.size != 1)
        found = zeros.dims[at].flat()
        return zeros.replaced(at, known(assumed if found is None else assumed | found))

    def quantizer(self, path: str, weight: Zeros) -> Zeros:
        """What is zero in what a quantizer makes: its silent channels."""
        quantizer = self._root.get_submodule(path)
        assert isinstance(quantizer, Quantizer)
        silent = quantizer.silent().cpu().numpy()
        size = weight.dims[quantizer.dim].size
        if len(silent) == size:
            return weight.replaced(quantizer.dim, known(silent))
        table = silent.reshape(-1, size)
        groups = Fact((len(table), weight.dims[0].size // len(table)), (table.all(axis=1), None))
        return weight.replaced(quantizer.dim, known(table.all(axis=0))).replaced(0, groups)


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


def find_dead(graph: ChannelGraph) -> Dead:
    """Looks for the channels that can be removed now, and for the blockers of those that are zero-bit but for them."""
    facts = ZeroFacts(graph)

    def run(entries: Entries) -> dict[Var, Mask]:
        assumed = facts.assuming(entries)
        return removable(graph._program, graph._inference, graph._prunable, assumed.state, assumed.quantizer)

    now = run({})
    candidates = _zero_bit(graph, facts)
    vectors = _vectors(graph, facts)
    while any((mask & ~now[axis]).any() for axis, mask in candidates.items()):
        would_be = run(_entries(graph, vectors, candidates))
        narrower = {axis: mask & would_be[axis] for axis, mask in candidates.items()}
        if all((narrower[axis] == mask).all() for axis, mask in candidates.items()):
            break
        candidates = narrower
    blocked = {axis: left for axis, mask in candidates.items() if (left := mask & ~now[axis]).any()}
    if not blocked:
        return Dead(now, {}, {})
    # A scale matters only where what it scales isn't zero already: shifts alone are tried first.
    shifts = {name: dim for name, dim in vectors.items() if name not in _scales(graph)}
    freed = run(_entries(graph, shifts, candidates))
    entries = _entries(graph, shifts, {axis: mask & freed[axis] for axis, mask in blocked.items()})
    for name, mask in _entries(graph, vectors, {axis: mask & ~freed[axis] for axis, mask in blocked.items()}).items():
        entries[name] = entries.get(name, mask) | mask
    return Dead(now, blocked, entries)


def _zero_bit(graph: ChannelGraph, facts: ZeroFacts) -> dict[Var, Mask]:
    """For each axis, the channels of which some weight has no bits left."""
    result: dict[Var, Mask] = {}
    for path in facts.quantized.values():
        (dim,) = graph._inference.state[f"{path}.bits"]
        quantizer = graph._program.root.get_submodule(path)
        assert isinstance(quantizer, Quantizer)
        masks = {axis: np.ones(axis.size, bool) for axis in variables(dim) if axis in graph._prunable}
        narrow(dim, quantizer.silent().cpu().numpy(), masks)
        for axis, mask in masks.items():
            result[axis] = result[axis] | mask if axis in result else mask
    return result


def _vectors(graph: ChannelGraph, facts: ZeroFacts) -> dict[str, int]:
    """The parameters that are trained as they are and run along one dim only (biases, norm scales and shifts), with that dim."""
    quantizers = tuple(f"{path}." for path in facts.quantized.values())
    result: dict[str, int] = {}
    for name, dims in graph._inference.state.items():
        real = [index for index, dim in enumerate(dims) if dim.size != 1]
        free = name in graph._parameters and name not in facts.quantized and not name.startswith(quantizers)
        if free and len(real) == 1 and fetch(graph._program.root, name).requires_grad:
            result[name] = real[0]
    return result


def _entries(graph: ChannelGraph, vectors: Mapping[str, int], channels: Mapping[Var, Mask]) -> Entries:
    """The entries of each vector that belong to some of the channels."""
    kept = {axis: ~mask for axis, mask in channels.items()}
    masks = ((name, ~over(graph._inference.state[name][dim], kept)) for name, dim in vectors.items() if _touches(graph, name, dim, kept))
    return {name: mask for name, mask in masks if mask.any()}


def vector_entries(graph: ChannelGraph, channels: Mapping[Var, Mask]) -> Entries:
    """The entries of biases, norm scales and shifts that belong to some of the channels."""
    return _entries(graph, _vectors(graph, ZeroFacts(graph)), channels)


def _touches(graph: ChannelGraph, name: str, dim: int, axes: Mapping[Var, Mask]) -> bool:
    return any(axis in axes for axis in variables(graph._inference.state[name][dim]))


def _scales(graph: ChannelGraph) -> set[str]:
    """The parameters that only ever multiply."""
    result: set[str] = set()
    for mode in MODES:
        for step in graph._inference.steps[mode]:
            for operand in step.record.factors(step.call):
                node = step.call.arguments.get(operand)
                if isinstance(node, fx.Node) and node.op == "get_attr":
                    result.add(str(node.target))
    return result


def settled_means(graph: ChannelGraph) -> Entries:
    """Entries of running means whose input is identically zero in training, so that the true mean is known: zero."""
    facts = ZeroFacts(graph)
    values = forward_zeros(graph._program, graph._inference, "train", facts.state, facts.quantizer)
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
