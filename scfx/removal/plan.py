"""The prune plan: what goes, as plain data. Passes, optimizer surgery, reports and pictures all obey the same plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from scfx.capture.program import MODES, Mode
from scfx.graph.channels import ChannelGraph
from scfx.graph.inference import Value, tensors
from scfx.graph.masks import AxisMasks, over
from scfx.passes.add_biases import Absorbed
from scfx.removal.constants import Constants
from scfx.signatures.record import Kept, Replacement
from scfx.signatures.resizing import kept_size
from scfx.terms.dims import Dim, Var
from scfx.terms.facts import Mask

#: For each dimension of a tensor the indices that stay, or None where all of them do.
KeptIndices = tuple[NDArray[np.int64] | None, ...]


@dataclass(frozen=True)
class PrunePlan:
    """Which indices of which tensors stay, and what changes in the graphs.

    Attributes:
        kept: For each parameter and buffer that shrinks, by state-dict name, the indices that stay along each dim.
        edits: For each mode, by node name, the arguments (and operator) that change.
        shapes: For each mode, by node name, the shape of what the node makes from now on.
        channels: For each member dimension of each axis that shrinks, its channels before and after.
        absorbed: What biases take over.
    """

    kept: Mapping[str, KeptIndices]
    edits: Mapping[Mode, Mapping[str, Replacement]]
    shapes: Mapping[Mode, Mapping[str, tuple[int, ...] | list[tuple[int, ...]]]]
    channels: tuple[tuple[str, int, int], ...]
    absorbed: tuple[Absorbed, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.kept) or any(self.edits.values())  # a sum of branches may shrink without any parameter


def make_plan(graph: ChannelGraph, removed: AxisMasks, constants: Iterable[Constants] = ()) -> PrunePlan:
    """The plan that removes the marked channels of each axis, and has biases add what these were `constants` of."""
    kept_masks: dict[Var, Mask] = {axis: ~mask for axis, mask in removed.items() if mask.any()}
    if not kept_masks:
        return PrunePlan({}, {mode: {} for mode in MODES}, {mode: {} for mode in MODES}, ())

    @cache
    def kept(dim: Dim) -> Mask:
        return over(dim, kept_masks)

    @cache
    def size(dim: Dim) -> int:
        return kept_size(dim, kept)

    state: dict[str, KeptIndices] = {}
    for name, dims in graph._inference.state.items():
        if any(size(dim) != dim.size for dim in dims):
            state[name] = tuple(np.flatnonzero(kept(dim)) if size(dim) != dim.size else None for dim in dims)
    edits: dict[Mode, dict[str, Replacement]] = {}
    shapes: dict[Mode, dict[str, tuple[int, ...] | list[tuple[int, ...]]]] = {}
    for mode in MODES:
        edits[mode] = {}
        for step in graph._inference.steps[mode]:
            change = step.record.resize(step.call, kept)
            if change is not None:
                edits[mode][step.call.node.name] = change
        shapes[mode] = {
            name: shape
            for name, value in graph._inference.values[mode].items()
            if (shape := _shape(value, size)) is not None
        }
    channels = tuple(
        (repr(axis.members[0]), axis.size, int(kept_masks[axis._var].sum()))
        for axis in graph.axes
        if axis._var in kept_masks
    )
    absorbed = tuple(found for each in constants if (found := _absorbed(each, kept)).amount.any())
    return PrunePlan(state, edits, shapes, channels, absorbed)


def _absorbed(constants: Constants, kept: Kept) -> Absorbed:
    gone = ~kept(constants.summed)[constants.mask]
    amount = constants.amounts[:, gone].sum(1)[kept(constants.made)]
    return Absorbed(constants.nodes, constants.weight, constants.operand, constants.bias, amount)


def _shape(value: Value, size: Callable[[Dim], int]) -> tuple[int, ...] | list[tuple[int, ...]] | None:
    if value is None:
        return None
    shapes = [tuple(map(size, dims)) for dims in tensors(value)]
    several = bool(value) and isinstance(value[0], tuple)
    return shapes if several else shapes[0] if shapes else ()
