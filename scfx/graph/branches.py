"""Where residual branches meet: sums whose operands can have channels of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from scfx.capture.program import MODES, Mode
from scfx.graph.channels import ChannelGraph
from scfx.graph.inference import Step
from scfx.graph.masks import narrow, over
from scfx.signatures.merging import OPERANDS, Merge, place_of, places_of, spread
from scfx.terms.dims import Dim, Var, resolve, variables
from scfx.terms.facts import LARGE, Mask

#: For some axes, the marked channels.
Channels = Mapping[Var, Mask]


def merge_dims(graph: ChannelGraph) -> dict[Mode, dict[str, int]]:
    """For each mode, by node name, the sums of two tensors that could have channels of their own, and along which dim.

    Args:
        graph: Of a program in which sums are plain sums.
    """
    weights = {axis._var: sum(member.name in graph._parameters for member in axis.members) for axis in graph.axes}
    result: dict[Mode, dict[str, int]] = {}
    for mode in MODES:
        found = ((step, _dim(step, weights)) for step in graph._inference.steps[mode])
        result[mode] = {step.call.node.name: dim for step, dim in found if dim is not None}
    return result


def _dim(step: Step, weights: Mapping[Var, int]) -> int | None:
    """The dim of a plain sum that most parameters run along."""
    call = step.call
    if call.node.target is not torch.ops.aten.add.Tensor or set(call.operands) != set(OPERANDS):
        return None
    one, other = (call.node_of(name) for name in OPERANDS)
    alike = one is not other and call.shape("self") == call.shape("other") == call.result_shapes[0]
    if not alike or call.arguments["alpha"] != 1 or not all(_is_float(node) for node in (one, other)):
        return None
    counts = {
        at: sum(weights.get(axis, 0) for axis in dict.fromkeys(variables(dim)))
        for at, dim in enumerate(call.operands["self"])
        if 1 < dim.size <= LARGE
    }
    best = max(counts, key=lambda at: counts[at], default=None)
    return best if best is not None and counts[best] else None


def _is_float(node: fx.Node) -> bool:
    dtype = node.meta["dtype"]
    return isinstance(dtype, torch.dtype) and dtype.is_floating_point


def merges(graph: ChannelGraph, mode: Mode) -> Iterator[Step]:
    """The sums of one graph whose operands have channels of their own, in order."""
    return (step for step in graph._inference.steps[mode] if isinstance(step.record, Merge))


def independent(graph: ChannelGraph) -> dict[Mode, dict[str, int]]:
    """Those merges whose operands turn out to have channels of their own, which may go, and along which dim."""
    return {
        mode: {step.call.node.name: place_of(step.call) for step in merges(graph, mode) if _independent(step)}
        for mode in MODES
    }


def _independent(step: Step) -> bool:
    dims = [resolve(step.call.operands[name][place_of(step.call)]) for name in OPERANDS]
    return dims[0] != dims[1] and any(axis.pin is None for dim in dims for axis in variables(dim))


def made_by(graph: ChannelGraph) -> dict[Var, list[tuple[Dim, NDArray[np.int64]]]]:
    """What is added in each sum: each operand's dim, and for each channel of the sum its index along it, or -1."""
    result: dict[Var, list[tuple[Dim, NDArray[np.int64]]]] = {}
    for step in merges(graph, "train"):
        at = place_of(step.call)
        made = resolve(step.call.results[0][at])
        if isinstance(made, Var) and made not in result:
            for name in OPERANDS:
                places = places_of(step.call, name)
                indices = np.full(made.size, -1)
                indices[places[places >= 0]] = np.flatnonzero(places >= 0)
                result.setdefault(made, []).append((step.call.operands[name][at], indices))
    return result


def through_merges(graph: ChannelGraph, channels: Channels, every: bool) -> dict[Var, Mask]:
    """What is said of the channels of branches, said of those of their sums, too.

    Args:
        graph: The channel graph.
        channels: For some axes, the channels of which something is so.
        every: Whether it must be so of all branches that have a channel, or of any.
    """
    result = dict(channels)
    for step in (step for mode in MODES for step in merges(graph, mode)):
        at = place_of(step.call)
        made, size = step.call.results[0][at], step.call.result_shapes[0][at]
        dims = {name: step.call.operands[name][at] for name in OPERANDS}
        said = [spread(places_of(step.call, n), _marked(dim, result), size, absent=every) for n, dim in dims.items()]
        axes = {axis: np.ones(axis.size, bool) for axis in variables(made) if axis in graph._prunable}
        narrow(made, (np.logical_and if every else np.logical_or).reduce(said), axes)
        for axis, mask in axes.items():
            before = result.get(axis, mask)
            result[axis] = before & mask if every else before | mask
    return result


def _marked(dim: Dim, channels: Channels) -> Mask:
    """The indices of a dim that belong to a marked channel."""
    return ~over(dim, {axis: ~mask for axis, mask in channels.items()})
