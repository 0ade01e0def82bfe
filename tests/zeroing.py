"""Write zeros into a model so that channels become removable, in several ways that differ in what stays non-zero."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Variant = Literal["everything", "producers", "almost", "branches", "pieces", "consumers", "partly", "weights"]

VARIANTS: tuple[Variant, ...] = (
    "everything",
    "producers",
    "almost",
    "branches",
    "pieces",
    "consumers",
    "partly",
    "weights",
)
"""Which entries of a channel become zero.

everything: each parameter entry that lines up with the channel. Exactly removable wherever the channel ends in sinks.
producers: weights that write the channel, their biases, norm scales and shifts.
almost: those of "producers", each with some probability, so that often just one of them keeps the channel alive.
branches: those of "producers" in some of the modules, so that a sum or a product gets one operand that is zero.
pieces: those of "producers", but of each run of neighbouring indices all or none, so that of one parameter that makes
    several things, as a fused projection does, some may stay.
consumers: only the weights that read it.
partly: each parameter with some probability, so that what is left may or may not matter.
weights: only weights that write it, biases and norms stay; as a quantizer at zero bits does. Mostly leaves a constant.
"""


class Member(Protocol):
    """A dimension of a parameter or buffer in which an axis takes part."""

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    def indices(self, channel: int) -> npt.NDArray[np.int64]: ...


class Axis(Protocol):
    """A set of dimensions whose channels live and die together."""

    @property
    def size(self) -> int: ...
    @property
    def pinned(self) -> str | None: ...
    @property
    def members(self) -> Sequence[Member]: ...


class Graph(Protocol):
    """The part of a channel graph that these tests need."""

    @property
    def axes(self) -> Sequence[Axis]: ...


@dataclass(frozen=True)
class Zeroed:
    """What `zero_channels` did to one axis."""

    axis: str
    channels: tuple[int, ...]
    variant: Variant

    def __str__(self) -> str:
        channels = f"channels {list(self.channels)}" if len(self.channels) < 9 else f"{len(self.channels)} channels"
        return f"{self.variant} of {channels} of {self.axis}"


def output_dims(model: nn.Module) -> dict[str, int]:
    """Return, for each parameter name, the dimension along which it writes channels (0 unless its module differs)."""
    dims = {name: 0 for name, _ in model.named_parameters(remove_duplicate=False)}
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d | nn.Embedding):
            dims[f"{prefix}weight"] = 1
    return dims


def _zeroed_channels(
    variant: Variant,
    channels: Sequence[int],
    writes: bool,
    weight: bool,
    module: Mapping[int, bool],
    chance: Callable[[], bool],
) -> list[int]:
    """Return the channels whose entries in one parameter become zero.

    Args:
        variant: see `VARIANTS`.
        channels: the channels to choose from.
        writes: whether the parameter writes the channels along this dimension, rather than reads them.
        weight: whether the parameter has more than one dimension.
        module: for each channel, whether the parameter's module is one that "branches" zeroes.
        chance: draws whether an entry becomes zero in the variants "almost" and "partly".
    """
    chosen: dict[Variant, Callable[[int], bool]] = {
        "everything": lambda channel: True,
        "producers": lambda channel: writes,
        "almost": lambda channel: writes and chance(),
        "branches": lambda channel: writes and module[channel],
        "pieces": lambda channel: writes,
        "consumers": lambda channel: not writes,
        "partly": lambda channel: chance(),
        "weights": lambda channel: writes and weight,
    }
    return [channel for channel in channels if chosen[variant](channel)]


def _zero(parameter: Tensor, member: Member, channels: Sequence[int], rng: random.Random, share: float) -> None:
    """Zero some channels, or about a share of their runs of neighbouring indices."""
    runs = [run for channel in channels for run in _runs(np.asarray(member.indices(channel)))]
    runs = [run for run in runs if share == 1.0 or rng.random() < share]
    if runs:
        with torch.no_grad():
            parameter.index_fill_(member.dim, torch.as_tensor(np.concatenate(runs), device=parameter.device), 0.0)


def _runs(indices: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    return np.split(indices, np.flatnonzero(np.diff(indices) != 1) + 1)


def zero_channels(
    net: nn.Module,
    graph: Graph,
    rng: random.Random,
    probability: float = 0.9,
    *,
    writes: Mapping[str, int] | None = None,
    variants: tuple[Variant, ...] = VARIANTS,
    whole_axes: bool = True,
) -> list[Zeroed]:
    """Zero random channels on random unpinned axes of `graph`, in place in the parameters of `net`.

    Args:
        net: a module whose parameters carry the names that the graph uses.
        graph: a channel graph (`axes`, each with `size`, `pinned` and `members`).
        rng: source of all choices.
        probability: chance that an entry is zeroed in the variants "almost" and "partly".
        writes: the dimension along which each parameter writes channels, from `output_dims` of the original model.
        variants: which ways of zeroing may be chosen; one is drawn for each axis.
        whole_axes: whether now and then all channels of an axis are chosen, so that nothing of it may be left.
    """
    parameters = dict(net.named_parameters(remove_duplicate=False))
    done = []

    def chance() -> bool:
        return rng.random() < probability

    for axis in graph.axes:
        members = [member for member in axis.members if member.name in parameters]
        if axis.pinned is not None or not members or rng.random() < 0.3:
            continue
        variant = rng.choice(variants)
        most = axis.size if whole_axes else axis.size - 1
        count = most if rng.random() < 0.1 else min(most, int(rng.uniform(0.2, 0.7) * axis.size + rng.random()))
        channels = tuple(sorted(rng.sample(range(axis.size), count)))
        owners = sorted({member.name.rpartition(".")[0] for member in members})
        modules = {owner: {channel: rng.random() < 0.6 for channel in channels} for owner in owners}
        for member in members:
            parameter, owner = parameters[member.name], member.name.rpartition(".")[0]
            along = writes.get(member.name, 0) if writes is not None else 0
            chosen = _zeroed_channels(
                variant, channels, member.dim == along, parameter.ndim > 1, modules[owner], chance
            )
            _zero(parameter, member, chosen, rng, 0.6 if variant == "pieces" else 1.0)
        if channels:
            done.append(Zeroed(f"{members[0].name} dim {members[0].dim}", channels, variant))
    return done
