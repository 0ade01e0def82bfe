"""Calls like the example but of other sizes, to try a captured graph on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils import _pytree as pytree

from scfx.capture.calling import CallSpec

Args = tuple[Any, ...]
Kwargs = dict[str, Any]

#: By how much free sizes other than the batch are changed, until the graph's conditions are met: small steps first.
STEPS = (1, 2, 4, 8, 16, 32, 64, -1, -2, -4, -8, -16, -32)


def one_more(call: CallSpec, args: Args, kwargs: Kwargs) -> Iterator[tuple[Args, Kwargs]]:
    """Yield calls with one more sample: in every input that looks like a batch, then only where the graph takes it."""
    tensors = _tensors(call, args, kwargs)
    sizes = [leaf.shape[0] for leaf in tensors.values() if leaf.ndim]
    free = frozenset(batches(call, args, kwargs))
    alike = frozenset(name for name, leaf in tensors.items() if leaf.ndim and leaf.shape[0] in sizes[:1])
    for chosen in dict.fromkeys((free | alike, free)):
        if chosen:
            # Called at once, before the loop goes on.
            yield _resized(call, args, kwargs, lambda name, shape: {0: shape[0] + 1} if name in chosen else {})  # noqa: B023


def first_sample(call: CallSpec, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
    """Return the call with the first sample alone of every input whose dimension 0 is free."""
    free = set(batches(call, args, kwargs))
    return _resized(call, args, kwargs, lambda name, shape: {0: 1} if name in free else {})


def other_sizes(call: CallSpec, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs] | None:
    """Return a call in which every free size beside those of dimension 0 is another one, if the graph holds for any."""
    free = {
        leaf.name: [dim for dim, size in enumerate(leaf.shape) if size is None and dim > 0]
        for leaf in call.inputs
        if leaf.shape is not None
    }
    if not any(free.values()):
        return None
    for step in STEPS:
        # Called at once, before the loop goes on.
        changed = _resized(call, args, kwargs, lambda name, shape: {d: max(1, shape[d] + step) for d in free[name]})  # noqa: B023
        arguments = call.bind(*changed)
        if all(guard.holds(arguments) for guard in call.guards):
            return changed
    return None


def batches(call: CallSpec, args: Args, kwargs: Kwargs) -> tuple[str, ...]:
    """Return the names of the inputs whose dimension 0 is free."""
    free = {leaf.name for leaf in call.inputs if leaf.shape and leaf.shape[0] is None}
    return tuple(name for name in _tensors(call, args, kwargs) if name in free)


def _tensors(call: CallSpec, args: Args, kwargs: Kwargs) -> dict[str, torch.Tensor]:
    leaves = pytree.tree_leaves(call.bind(args, kwargs))
    return {name: leaf for name, leaf in zip(call.input_names, leaves, strict=True) if isinstance(leaf, torch.Tensor)}


def _resized(
    call: CallSpec, args: Args, kwargs: Kwargs, sizes: Callable[[str, torch.Size], dict[int, int]]
) -> tuple[Args, Kwargs]:
    """Return the call with every tensor repeated or cut to the sizes that `sizes` tells by name and shape."""
    names = {id(leaf): name for name, leaf in _tensors(call, args, kwargs).items()}

    def resized(leaf: Any) -> Any:
        if id(leaf) in names:
            for dim, size in sizes(names[id(leaf)], leaf.shape).items():
                leaf = leaf.index_select(dim, torch.arange(size, device=leaf.device) % leaf.shape[dim])
        return leaf

    changed: tuple[Args, Kwargs] = pytree.tree_map(resized, (args, kwargs))
    return changed
