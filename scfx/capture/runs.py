"""One run of a model, outputs, gradients and buffers as plain tensors, and how two runs compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from scfx.capture.chance import Chance
from scfx.capture.twin import same_random_state

#: How far two runs may be apart, relative to the largest value. The same operators run in both, so noise is small.
TOLERANCES = {torch.float64: 1e-10, torch.complex128: 1e-10, torch.float32: 1e-3, torch.complex64: 1e-3}
LOOSE = 5e-2
SEED = 20230113


@dataclass(frozen=True)
class Run:
    """What one call of a model gave.

    Attributes:
        outputs: The flat output leaves, tensors detached.
        gradients: By parameter name, of a fixed random sum of the outputs; None where the output does not depend on it.
        buffers: By buffer name, after the call.
        history: The functions through which gradients flow back from the outputs, kept to look for custom ones.
    """

    outputs: tuple[Any, ...]
    gradients: Mapping[str, torch.Tensor | None]
    buffers: Mapping[str, torch.Tensor]
    history: tuple[Any, ...]


def run(call: Callable[[], Any], owner: nn.Module, gradients: bool) -> Run:
    """Run `call` from a fixed random state and gather what came of it.

    Parameters and buffers are those of `owner`; no `.grad` is touched. Without `gradients` there is no autograd at all.
    """
    with same_random_state(owner, SEED), torch.set_grad_enabled(gradients), Chance():
        leaves = pytree.tree_leaves(call())
    trained = {name: p for name, p in owner.named_parameters() if p.requires_grad}
    roots = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
    found: Sequence[torch.Tensor | None] = [None] * len(trained)
    history = tuple(leaf.grad_fn for leaf in roots)
    if roots and trained:
        weights = [_weights(leaf, index) for index, leaf in enumerate(roots)]
        found = torch.autograd.grad(roots, list(trained.values()), weights, allow_unused=True)
    return Run(
        tuple(leaf.detach() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves),
        dict(zip(trained, found, strict=True)),
        {name: buffer.detach().clone() for name, buffer in owner.named_buffers()},
        history,
    )


def tolerance(tensors: Iterable[object]) -> float:
    """Return how far apart values may be, relative to the largest, when computed with the dtypes among `tensors`."""
    dtypes = {t.dtype for t in tensors if isinstance(t, torch.Tensor) and (t.is_floating_point() or t.is_complex())}
    return max((TOLERANCES.get(dtype, LOOSE) for dtype in dtypes), default=0.0)


def differs(expected: object, got: object, relative: float, floor: float = 0.0) -> bool:
    """Say whether two leaves differ by more than `relative` times the largest expected value, or `floor` if larger."""
    if not isinstance(expected, torch.Tensor) or not isinstance(got, torch.Tensor):
        return not (expected is got or (type(expected) is type(got) and bool(expected == got)))
    if expected.shape != got.shape or expected.dtype != got.dtype:
        return True
    if torch.equal(expected, got):
        return False
    if not (expected.is_floating_point() or expected.is_complex()):
        return True
    finite = torch.isfinite(expected)
    if not torch.equal(finite, torch.isfinite(got)):
        return True
    if not torch.equal(torch.nan_to_num(expected[~finite]), torch.nan_to_num(got[~finite])):
        return True
    scale = max(floor, _largest(expected[finite]))
    return _largest(expected[finite] - got[finite]) > relative * scale


def largest_gradient(run: Run) -> float:
    """Return the largest absolute value in any gradient of `run`."""
    return max((_largest(g) for g in run.gradients.values() if g is not None), default=0.0)


def _largest(tensor: torch.Tensor) -> float:
    return float(tensor.abs().max()) if tensor.numel() else 0.0


def _weights(leaf: torch.Tensor, index: int) -> torch.Tensor:
    """Return fixed random weights like `leaf`, so that gradients do not cancel as they may in a plain sum."""
    generator = torch.Generator().manual_seed(SEED + index)
    return torch.randn(leaf.shape, generator=generator, dtype=torch.float32).to(leaf)
