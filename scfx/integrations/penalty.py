"""The size term for trainers that compute the loss by themselves: its gradient is added to that of their loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from scfx.errors import InputError
from scfx.module import CompressedModule

#: The factor of `net.size()` in the loss, or what gives the whole term for a network.
Gamma = float | Callable[[CompressedModule], Tensor]


@runtime_checkable
class Stateful(Protocol):
    """A size term that has a state, as `scfx.SizeTarget` has: the trainers' checkpoints keep it."""

    def state_dict(self) -> dict[str, Any]:
        """What it needs to go on, as plain numbers and texts."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from there."""


def state_of(gamma: object) -> dict[str, Any] | None:
    """The state of a size term; None if it has none."""
    return gamma.state_dict() if isinstance(gamma, Stateful) else None


def restore(gamma: object, state: Mapping[str, Any]) -> None:
    """Puts a state into a size term that has one; a factor has nothing to restore."""
    if isinstance(gamma, Stateful):
        gamma.load_state_dict(state)


def add_size_gradient(net: CompressedModule, gamma: Gamma, scale: float = 1.0) -> None:
    """Adds the gradient of the size term to the gradients that are there: as if it had been in the loss, once.

    Args:
        net: Its parameters get the gradient.
        gamma: A factor of `net.size()`, or a function of the network that gives the term, a scalar.
        scale: What the trainer's own gradients are multiplied by, as a GradScaler does.

    Raises:
        InputError: `gamma` is neither.
    """
    term = _term(net, gamma)
    if not term.requires_grad:  # nothing is quantized, so nothing in the size can be learned
        return
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(term * scale, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _term(net: CompressedModule, gamma: Gamma) -> Tensor:
    term: object = gamma(net) if callable(gamma) else gamma * net.size()
    if not isinstance(term, Tensor) or term.numel() != 1:
        raise InputError(
            f"gamma has to be a number, or a function that gives a network's size term as a scalar tensor, not {term!r}"
        )
    return term
