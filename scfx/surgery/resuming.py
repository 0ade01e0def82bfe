"""Which of the original indices are left, as plain tensors in the state dict, so that a fresh module can follow.

A state dict of a module that has lost channels says for each dimension that shrank which of its original indices stayed
(`_scfx.kept.<dim>.<name>`, int64), which channels wait for their removal (`_scfx.latched.<dim>.<name>`), and how many
updates were done (`_scfx.step`). They are tensors like all others, so that any format can hold them. A module that has
lost nothing and was never updated adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scfx.errors import CheckpointError
from scfx.graph.masks import over
from scfx.removal.plan import PrunePlan, make_plan

if TYPE_CHECKING:
    from scfx.graph.channels import ChannelGraph
    from scfx.module import CompressedModule
    from scfx.removal.zero_facts import Channels
    from scfx.terms.dims import Var
    from scfx.terms.facts import Mask

_KEPT, _LATCHED, _STEP = "_scfx.kept.", "_scfx.latched.", "_scfx.step"
_NAMES_SHOWN = 5

Indices = NDArray[np.int64]


@dataclass
class Widths:
    """What is left of every parameter and buffer.

    Attributes:
        kept: By state-dict name and dimension, the original indices that are left, in order; all, where there is none.
        shapes: By state-dict name, the shape that each parameter had at first.
    """

    kept: dict[tuple[str, int], Indices] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def follow(self, plan: PrunePlan) -> None:
        """Takes note of a removal."""
        for name, dims in plan.kept.items():
            for dim, index in enumerate(dims):
                if index is not None:
                    before = self.kept.get((name, dim))
                    self.kept[name, dim] = index if before is None else before[index]


@dataclass(frozen=True)
class Saved:
    """What a state dict says of the module beside its tensors.

    Attributes:
        widths: What was left of every dimension.
        step: The number of updates it had seen.
        latched: By state-dict name and dimension, the indices of channels that could go and waited for it. Which one
            of an axis stays when all could go depends on which of them could first.
    """

    widths: Widths
    step: int = 0
    latched: Mapping[tuple[str, int], Indices] = field(default_factory=dict)

    def save(self, state: MutableMapping[str, Any], prefix: str) -> None:
        """Adds the entries to a state dict."""
        for kind, entries in ((_KEPT, self.widths.kept), (_LATCHED, self.latched)):
            for (name, dim), index in entries.items():
                state[f"{prefix}{kind}{dim}.{name}"] = torch.from_numpy(index.copy())
        if self.step:
            state[f"{prefix}{_STEP}"] = torch.tensor(self.step)

    @classmethod
    def of(cls, state: Mapping[str, Any], prefix: str = "") -> Saved:
        """Reads the entries of a state dict.

        Raises:
            CheckpointError: An entry is not what this module writes.
        """
        step = 0
        found: dict[str, dict[tuple[str, int], Indices]] = {_KEPT: {}, _LATCHED: {}}
        for key in [key for key in state if key.startswith(prefix) and is_entry(key.removeprefix(prefix))]:
            value = state[key]
            if not isinstance(value, Tensor) or value.is_floating_point() or value.is_complex():
                raise CheckpointError(
                    f"{key} of the state dict is no tensor of whole numbers; the state dict is damaged"
                )
            kind = next((kind for kind in found if key.startswith(prefix + kind)), "")
            dim, _, name = key.removeprefix(prefix + kind).partition(".")
            if key == prefix + _STEP and value.numel() == 1:
                step = int(value)
            elif kind and dim.isdecimal() and value.dim() == 1:
                found[kind][name, int(dim)] = value.detach().cpu().to(torch.int64).numpy()
            else:
                raise CheckpointError(f"{key} of the state dict is not known to this version of scfx")
        return cls(Widths(found[_KEPT]), step, found[_LATCHED])


def marked_entries(graph: ChannelGraph, channels: Channels) -> dict[tuple[str, int], Indices]:
    """Marked channels in a form that does without axes: the indices that they occupy where their axis is first met."""
    result: dict[tuple[str, int], Indices] = {}
    for axis in graph.axes:
        first = axis.members[0]
        for channel in np.flatnonzero(channels.get(axis._var, np.zeros(0, bool))):
            before = result.get((first.name, first.dim), np.zeros(0, np.int64))
            result[first.name, first.dim] = np.union1d(before, first.indices(int(channel)))
    return result


def channels_of(graph: ChannelGraph, entries: Mapping[tuple[str, int], Indices]) -> Channels:
    """The channels that `marked_entries` tells of."""
    result: Channels = {}
    for axis in graph.axes:
        first = axis.members[0]
        marked = entries.get((first.name, first.dim))
        if marked is not None and axis.pinned is None:
            mask = np.array([np.isin(first.indices(channel), marked).all() for channel in range(axis.size)], bool)
            if mask.any():
                result[axis._var] = mask
    return result


def plan_to(graph: ChannelGraph, present: Widths, wanted: Widths) -> PrunePlan:
    """The plan that leaves exactly the wanted indices.

    Args:
        graph: Of the module as it is.
        present: What the module has left.
        wanted: What the saved one had left.

    Raises:
        CheckpointError: They can't be reached by removing channels: another model, or a module that has lost more.
    """
    left = dict(_relative(graph, present, wanted))
    removed: dict[Var, Mask] = {}
    for axis, members in graph._members.items():
        for member in members:
            mask = left.get((member.name, member.dim))
            if mask is not None and axis not in removed:
                removed[axis] = np.array([not mask[member.indices(channel)].any() for channel in range(axis.size)])
                if axis.pin is not None and removed[axis].any():
                    raise CheckpointError(
                        f"{member} has lost channels in the checkpoint, but may not shrink here ({axis.pin}): "
                        "compress the model that was saved, with the same `keep`, `outputs` and `branches`"
                    )
    kept = {axis: ~mask for axis, mask in removed.items()}
    for name, dims in graph._inference.state.items():
        for dim, term in enumerate(dims):
            mask = over(term, kept)
            if not np.array_equal(mask, left.get((name, dim), np.ones_like(mask))):
                raise _other(
                    f"dimension {dim} of {name} can't lose what it has lost there; if it was compressed with "
                    "branches=True, so must this one be"
                )
    return make_plan(graph, removed)


def plan_from(module: CompressedModule, state: Mapping[str, Any], prefix: str = "") -> tuple[Saved, PrunePlan]:
    """What a state dict says of the module that was saved, and how this one gets its shapes. It changes nothing.

    Raises:
        CheckpointError: It is the state of another module, or of one that has channels that are lost here.
    """
    saved = Saved.of(state, prefix)
    plan = plan_to(module.channels, module._widths, saved.widths)
    _check_shapes(module, plan, state, prefix)
    return saved, plan


def is_entry(key: str) -> bool:
    """Whether a key of a module's own state dict is one of the entries that are written here."""
    return key.startswith((_KEPT, _LATCHED, _STEP))


def check_names(own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Compares the names in a state dict with those of the module.

    Raises:
        CheckpointError: Some are missing, or not known here.
    """
    missing = sorted(own.keys() - state.keys())
    unexpected = sorted(key for key in state if key not in own and not is_entry(key))
    if missing or unexpected:
        found = ((missing, "missing there"), (unexpected, "unknown here"))
        raise _other(" and ".join(f"{_few(names)} {what}" for names, what in found if names))


def _check_shapes(module: nn.Module, plan: PrunePlan, state: Mapping[str, Any], prefix: str) -> None:
    """Compares the shapes in a state dict with those that this module will have after the plan.

    Raises:
        CheckpointError: Some differ.
    """
    first: dict[int, str] = {}  # plans know a tensor that has several names by the first of them
    tensors = (module.named_parameters(remove_duplicate=False), module.named_buffers(remove_duplicate=False))
    for name, tensor in chain(*tensors):
        value = state.get(prefix + name)
        kept = plan.kept.get(first.setdefault(id(tensor), name), (None,) * tensor.dim())
        sizes = [size if index is None else len(index) for size, index in zip(tensor.shape, kept, strict=True)]
        if isinstance(value, Tensor) and list(value.shape) != sizes:
            raise _other(f"{prefix}{name} has the shape {tuple(value.shape)} there and {tuple(sizes)} here")


def _relative(graph: ChannelGraph, present: Widths, wanted: Widths) -> Iterator[tuple[tuple[str, int], Mask]]:
    """For each dimension that has lost something, which of its present indices are wanted."""
    unknown = sorted({name for name, _ in wanted.kept} - set(graph._inference.state))
    if unknown:
        raise _other(f"{_few(unknown)} unknown here")
    for (name, dim), index in {**dict.fromkeys(present.kept), **wanted.kept}.items():
        dims = graph._inference.state[name]
        if dim >= len(dims):
            raise _other(f"{name} has only {len(dims)} dimensions here")
        here = present.kept.get((name, dim), np.arange(dims[dim].size))
        mask = np.ones(len(here), bool) if index is None else np.isin(here, index)
        if index is None or not np.array_equal(here[mask], index):
            raise _other(
                f"dimension {dim} of {name} has lost other indices here; load into a fresh scfx.compress(model)"
            )
        yield (name, dim), mask


def _few(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _other(what: str) -> CheckpointError:
    return CheckpointError(f"the state dict is not one of this module: {what}. Nothing was changed")
