"""Run a module forward and backward and collect everything that a caller can see of it."""

import itertools
from collections.abc import Mapping
from contextlib import ContextDecorator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

Inputs = tuple[Tensor, ...]


class OneThread(ContextDecorator):
    """Networks as small as these run faster on one thread, and many times so on a machine that is busy."""

    def __enter__(self) -> None:
        self.threads = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.threads)


def resize_batch(example: Inputs, batch: int, seed: int) -> Inputs:
    """Return normally distributed inputs like the example ones, with another size of dimension 0."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn((batch, *x.shape[1:]), dtype=x.dtype, generator=generator) for x in example)


def float_outputs(value: Any) -> list[Tensor]:
    """Return the floating-point tensors of an output pytree, in order."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of all parameters and buffers by name."""
    named = itertools.chain(module.named_parameters(), module.named_buffers())
    return {name: tensor.detach().clone() for name, tensor in named}


def restore(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Write values back into parameters and buffers, in place; names that `state` lacks stay as they are."""
    with torch.no_grad():
        for name, tensor in itertools.chain(module.named_parameters(), module.named_buffers()):
            if name in state:
                tensor.copy_(state[name])


@dataclass
class Observation:
    """Everything a caller can see of one forward and backward run."""

    outputs: dict[str, Tensor]
    gradients: dict[str, Tensor]
    buffers: dict[str, Tensor]
    scale: float


def observe(module: nn.Module, inputs: Inputs, training: bool, seed: int, scale: float | None = None) -> Observation:
    """Run a module forward and backward from a random projection of its outputs and collect what came out.

    Args:
        module: ends in the given mode, with parameter gradients filled in.
        inputs: positional arguments.
        training: the mode to run in.
        seed: seed of the projection and of the random state.
        scale: divisor of the loss. None divides the gradients by their own largest magnitude and reports it, so that a
            second run with this scale sees the same loss and optimizers get gradients of moderate size.
    """
    module.train(training)
    module.zero_grad(set_to_none=True)
    leaves = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    torch.manual_seed(seed)
    outputs = float_outputs(module(*leaves))
    generator = torch.Generator().manual_seed(seed)
    loss = sum(((y * torch.randn(y.shape, dtype=y.dtype, generator=generator)).sum() for y in outputs), torch.zeros(()))
    if loss.requires_grad:
        (loss if scale is None else loss / scale).backward()
    named = dict(module.named_parameters())
    found = {f"gradient of {n}": torch.zeros_like(p) if p.grad is None else p.grad for n, p in named.items()}
    found |= {f"gradient of input {i}": torch.zeros_like(x) if x.grad is None else x.grad for i, x in enumerate(leaves)}
    if scale is None:
        scale = max((float(g.abs().max()) for g in found.values() if g.numel()), default=0.0) or 1.0
        for gradient in found.values():
            gradient.div_(scale)
    return Observation(
        {f"output {i}": y.detach() for i, y in enumerate(outputs)},
        found,
        {f"buffer {n}": b.detach().clone() for n, b in module.named_buffers()},
        scale,
    )
