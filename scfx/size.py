"""The size of a network in bits, differentiable in its bit depths (the paper's equations 3 to 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scfx.channels import ChannelGraph
from scfx.dims import Concat, Dim, Take, Var, resolve, variables
from scfx.facts import Mask
from scfx.masks import over

if TYPE_CHECKING:
    from scfx.module import CompressedModule


@dataclass(frozen=True)
class SizeModel:
    """How bit depths add up.

    Attributes:
        original: The number of weights at the start.
        entries: For each quantizer, by path, how many weights of one output channel count.
        plain_bits: Without quantizers, the bits of all weights as they are stored.
    """

    original: int
    entries: Mapping[str, int]
    plain_bits: float = 0.0

    @staticmethod
    def of(graph: ChannelGraph) -> SizeModel:
        """The model of a graph whose channels are all alive."""
        from scfx.quantization import weight_uses

        quantized = _quantized(graph)
        names = quantized or weight_uses(graph)
        tensors = [graph._program.root.get_parameter(name) for name in names]
        bits = 0 if quantized else sum(t.numel() * torch.finfo(t.dtype).bits for t in tensors)
        return SizeModel(max(1, sum(t.numel() for t in tensors)), _entries(graph, {}), float(bits))

    def for_graph(self, graph: ChannelGraph, dead: Mapping[Var, Mask] | None = None) -> SizeModel:
        """The same count after channels have died or gone; the number of original weights stays."""
        return replace(SizeModel.of(graph), original=self.original, entries=_entries(graph, dead or {}))

    def bits(self, module: CompressedModule) -> Tensor:
        """Average bits per original weight."""
        quantizers = [(path, module.get_submodule(path)) for path in self.entries]
        if not quantizers:
            device = next(module.parameters()).device
            return torch.tensor(self.plain_bits / self.original, device=device)
        depths = [q.depth().sum() * count for (_, q), count in zip(quantizers, self.entries.values(), strict=True)]  # type: ignore[operator]
        return torch.stack(depths).sum() / self.original


def _quantized(graph: ChannelGraph) -> dict[str, str]:
    """The path of the quantizer of each quantized weight."""
    paths = [name.removesuffix(".bits") for name in graph._inference.state if name.endswith("_quantizer.bits")]
    return {path.removesuffix("_quantizer"): path for path in paths}


def _entries(graph: ChannelGraph, dead: Mapping[Var, Mask]) -> dict[str, int]:
    """For each quantizer, the number of weights in one output channel whose inputs are alive."""
    result: dict[str, int] = {}
    for name, path in _quantized(graph).items():
        (made,) = graph._inference.state[f"{path}.bits"]
        result[path] = prod(_alive(dim, dead) for dim in graph._inference.state[name]) // _alive(made, dead)
    return result


def _alive(dim: Dim, dead: Mapping[Var, Mask]) -> int:
    """How many indices of a dim are alive; never none, since the last channel of an axis stays."""
    dim = resolve(dim)
    if isinstance(dim, Var):
        return max(1, int((~dead[dim]).sum())) if dim in dead else dim.size
    if isinstance(dim, Take):
        return max(1, int(over(dim, {axis: ~dead[axis] for axis in variables(dim) if axis in dead}).sum()))
    sizes = [_alive(part, dead) for part in dim.parts]
    return sum(sizes) if isinstance(dim, Concat) else prod(sizes)
