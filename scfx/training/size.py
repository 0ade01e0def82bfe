"""What a network costs, differentiable in its bit depths: bits (the paper's equations 3 to 5) and multiply-accumulates.

Every cost is a sum of bit depths, each times a number that changes only when channels die: these numbers are worked
out then, and a training step costs one product of two vectors, however many layers there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from math import isfinite, prod
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from scfx.errors import InputError, UnknownNameError
from scfx.graph.branches import made_by
from scfx.graph.channels import ChannelGraph
from scfx.graph.masks import over
from scfx.graph.selection import unknown_name
from scfx.nodes.quantizer import Quantizer
from scfx.terms.dims import Concat, Dim, Take, Var, product, resolve, variables
from scfx.terms.facts import Mask
from scfx.terms.symbolic import is_symbolic
from scfx.training.makers import shares

#: What can be kept small: see `CompressedModule.cost`.
CostKind = Literal["bits", "bits_both_ends", "macs", "bit_ops"]

START_BITS = 8.0
"""The depth that quantizers start with, as in the paper: so much of a channel makes it a whole one."""


@dataclass(frozen=True)
class Layer:
    """A weight and what it costs.

    Attributes:
        name: Its state-dict name.
        quantizer: The path of its quantizer; None without one.
        dims: The dimensions that the output channels lie along; where a transposed convolution has groups, they are
            rows of it for each group.
        made: What its output channels consist of.
        entries: How many weights each output channel has whose inputs are alive.
        bits: In how many bits the weight was stored at the start, each entry.
        uses: How often a call multiplies by each entry; by those of experts, on average over these.
    """

    name: str
    quantizer: str | None
    dims: tuple[int, ...]
    made: Dim
    entries: int
    bits: int
    uses: Fraction


@dataclass(frozen=True)
class Original:
    """What there was at the start: weights, the bits they were stored in, multiply-accumulates, each one's channels."""

    weights: int
    bits: int
    macs: int
    widths: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SizeModel:
    """How bit depths add up to costs.

    Attributes:
        graph: The channel graph as it is.
        dead: For each axis, the channels that don't count any more.
        original: What there was at the start.
    """

    graph: ChannelGraph
    dead: Mapping[Var, Mask] = field(default_factory=dict)
    original: Original = field(default_factory=lambda: Original(1, 32, 1))

    @staticmethod
    def of(graph: ChannelGraph) -> SizeModel:
        """The model of a graph whose channels are all alive."""
        model = SizeModel(graph)
        channels = [(layer, layer.entries * layer.made.size) for layer in model.layers]
        weights = sum(count for _, count in channels)
        bits = sum(layer.bits * count for layer, count in channels)
        macs = int(sum(layer.uses * count for layer, count in channels))
        widths = {layer.name: layer.made.size for layer in model.layers}
        return replace(model, original=Original(max(1, weights), max(1, bits), max(1, macs), widths))

    def for_graph(self, graph: ChannelGraph, dead: Mapping[Var, Mask] | None = None) -> SizeModel:
        """The same count after channels have died or gone; what there was at the start stays."""
        return SizeModel(graph, dead or {}, self.original)

    def cost(self, kind: CostKind, weights: Mapping[str, float]) -> Tensor:
        """See `CompressedModule.cost`."""
        depths, alive = self._depths()
        own, both = self._numbers(kind, tuple(sorted(weights.items())), depths)
        if kind == "macs":
            slope = (depths * both).sum() / START_BITS
            return (own.masked_select(alive).sum() + (slope - slope.detach())) / self.original.macs
        return (depths * both).sum() / (self.original.macs if kind == "bit_ops" else self.original.weights)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every quantized weight; without quantizers every weight that could be."""
        from scfx.graph.quantization import find_weights

        graph, state = self.graph, self.graph._inference.state
        quantizers = _quantizers(graph)
        places = {name: quantizer.dims for name, quantizer in quantizers.items()} or {
            name: use.dims for name, use in find_weights(graph).uses.items()
        }
        uses = self._uses()
        layers: list[Layer] = []
        for name, dims in places.items():
            path = f"{name}_quantizer" if quantizers else None
            made = state[f"{path}.bits"][0] if path else product(*(state[name][dim] for dim in dims))
            entries = prod(map(self._alive, state[name])) // self._alive(made)
            bits = torch.finfo(graph._program.root.get_parameter(name).dtype).bits
            layers.append(Layer(name, path, dims, made, entries, bits, uses.get(name, Fraction(0))))
        return tuple(layers)

    def _uses(self) -> dict[str, Fraction]:
        """How often a call in evaluation multiplies by each entry of each weight."""
        found: dict[str, Fraction] = {}
        for step in self.graph._inference.steps["eval"]:
            shares = step.record.shares(step.call)
            for operand, dims in step.record.repeats(step.call).items():
                name = _origin(step.call.node_of(operand))
                if name is not None:
                    times = Fraction(prod(map(self._alive, dims)), prod(map(self._alive, shares.get(operand, ()))))
                    found[name] = found.get(name, 0) + times
        return found

    def _alive(self, dim: Dim) -> int:
        """How many indices of a dim are alive; never none, since the last channel of an axis stays."""
        dim = resolve(dim)
        if isinstance(dim, Var):
            if dim in self.dead:
                return max(1, int((~self.dead[dim]).sum()))
            return self._example(dim.size) if is_symbolic(dim.size) else dim.size
        if isinstance(dim, Take):
            kept = {axis: ~self.dead[axis] for axis in variables(dim) if axis in self.dead}
            return max(1, int(over(dim, kept).sum()))
        sizes = [self._alive(part) for part in dim.parts]
        return sum(sizes) if isinstance(dim, Concat) else prod(sizes)

    def _example(self, size: int) -> int:
        """What a size that is free was for the example inputs; 1 for one that depends on values."""
        known = self.graph._program.examples
        if size in known:
            return known[size]
        return next((size // other * n for other, n in known.items() if size % other == 0), 1)

    def _depths(self) -> tuple[Tensor, Tensor]:
        """The depths of all channels, one layer after the other, with 0 for silent ones; and which are not silent."""
        if not self._modules:
            device = next(self.graph._program.root.parameters()).device
            stored = np.concatenate([np.zeros(0), *(np.full(each.made.size, each.bits) for each in self.layers)])
            depths = torch.from_numpy(stored).to(device, torch.get_default_dtype())
            return depths, depths > 0
        device = self._modules[0].bits.device
        bits = torch.cat([quantizer.bits.to(device) for quantizer in self._modules])
        silent = torch.cat([quantizer.dead.to(device) for quantizer in self._modules]) | (bits.detach() <= 0)
        return bits.masked_fill(silent, 0), ~silent

    @cached_property
    def _modules(self) -> list[Quantizer]:
        found = _quantizers(self.graph)
        return [found[layer.name] for layer in self.layers if layer.quantizer]

    @cached_property
    def _known(self) -> dict[object, tuple[Tensor, Tensor]]:
        return {}

    def _numbers(self, kind: CostKind, weights: tuple[tuple[str, float], ...], like: Tensor) -> tuple[Tensor, Tensor]:
        """What each output channel costs by itself, for each bit, and what it costs as the input of others, too."""
        key = (kind, weights, like.device, like.dtype)
        if key not in self._known:
            if kind not in get_args(CostKind):
                raise InputError(f"a cost is one of {', '.join(map(repr, get_args(CostKind)))}, not {kind!r}")
            own, inputs = self._counted(kind, self._factors(dict(weights)))
            both = own + inputs if kind in ("bits_both_ends", "macs") else own
            self._known[key] = torch.from_numpy(own).to(like), torch.from_numpy(both).to(like)
        return self._known[key]

    def _counted(self, kind: CostKind, factors: list[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        makers, branches = {layer.name: layer.made for layer in self.layers}, made_by(self.graph)
        own: dict[str, NDArray[np.float64]] = {}
        inputs = {name: np.zeros(made.size) for name, made in makers.items()}
        for layer, factor in zip(self.layers, factors, strict=True):
            entry = factor * (float(layer.uses) if kind in ("macs", "bit_ops") else 1)
            own[layer.name] = np.full(layer.made.size, float(entry * layer.entries))
            if kind not in ("bits_both_ends", "macs"):
                continue
            dims = self.graph._inference.state[layer.name]
            whole = prod(map(self._alive, dims)) * self._with_bits(layer)
            for dim in (other for number, other in enumerate(dims) if number not in layer.dims and other.size > 1):
                alive = over(dim, {axis: ~mask for axis, mask in self.dead.items()})
                for name, share in shares(makers, dim, alive, branches).items():
                    inputs[name] += entry * whole / self._alive(dim) * share
        nothing = np.zeros(0)
        return np.concatenate([nothing, *own.values()]), np.concatenate([nothing, *inputs.values()])

    def _with_bits(self, layer: Layer) -> float:
        """Which share of the output channels of a layer that are alive has bits: not all where they can't go."""
        if layer.quantizer is None:
            return 1.0
        alive = over(layer.made, {axis: ~mask for axis, mask in self.dead.items()})
        quantizer = self.graph._program.root.get_submodule(layer.quantizer)
        assert isinstance(quantizer, Quantizer)
        return float((alive & ~quantizer.silent().cpu().numpy()).sum()) / self._alive(layer.made)

    def _factors(self, weights: Mapping[str, float]) -> list[float]:
        """How much each layer counts."""
        names = [layer.name for layer in self.layers]
        for path, factor in weights.items():
            if not (isfinite(factor) and factor >= 0):
                raise InputError(f"weights[{path!r}] is a factor, 0 or more and finite, not {factor}")
            if not any(_holds(path, name) for name in names):
                modules = dict.fromkeys(parent for name in names for parent in _parents(name))
                raise UnknownNameError(unknown_name(path, list(modules), "module with a quantized weight in it"))
        return [weights[max(h, key=len)] if (h := [p for p in weights if _holds(p, name)]) else 1.0 for name in names]


def _quantizers(graph: ChannelGraph) -> dict[str, Quantizer]:
    """The quantizer of each quantized weight, by the weight's name."""
    found: dict[str, Quantizer] = {}
    for name in graph._inference.state:
        path = name.removesuffix(".bits")
        if name != path and path.endswith("_quantizer"):
            module = graph._program.root.get_submodule(path)
            if isinstance(module, Quantizer):
                found[path.removesuffix("_quantizer")] = module
    return found


def _origin(node: fx.Node) -> str | None:
    """The parameter that an operand is, seen through its quantizer and operators on it alone, such as a transpose."""
    while node.op in ("call_module", "call_function") and len(node.all_input_nodes) == 1:
        node = node.all_input_nodes[0]
    return str(node.target) if node.op == "get_attr" else None


def _holds(path: str, name: str) -> bool:
    return path in ("", name) or name.startswith(f"{path}.")


def _parents(name: str) -> list[str]:
    """The paths of the modules that hold a parameter, outermost first, and its own name."""
    return [name[:end] for end, letter in enumerate(name) if letter == "."] + [name]
