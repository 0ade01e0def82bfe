"""Run a module forward and backward and collect everything that a caller can see of it."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ContextDecorator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

Inputs = tuple[Any, ...] | dict[str, Any]
"""Positional arguments, or keyword arguments. They may be nested and hold anything; floating-point tensors vary."""

MakeInputs = Callable[[int, int], Inputs]
"""Makes inputs of a batch size from a seed."""


class OneThread(ContextDecorator):
    """Networks as small as these run faster on one thread, and many times so on a machine that is busy."""

    def __enter__(self) -> None:
        self.threads = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.threads)


def resize_batch(example: Inputs, batch: int, seed: int) -> Inputs:
    """Return inputs like the example ones, with another size of dimension 0 of every tensor.

    Floating-point tensors are normally distributed. Integers and truth values mean something (an id, a mask): their
    rows are those of the example, again and again.
    """
    generator = torch.Generator().manual_seed(seed)

    def resized(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.dim():
            return leaf
        if leaf.is_floating_point():
            return torch.randn((batch, *leaf.shape[1:]), dtype=leaf.dtype, generator=generator)
        return leaf[torch.arange(batch) % len(leaf)]

    result: Inputs = tree_map(resized, example)
    return result


def maker(example: Inputs | MakeInputs) -> MakeInputs:
    """Return what makes inputs like the example ones, unless the example is such a function itself."""
    if callable(example):
        return example
    return lambda batch, seed: resize_batch(example, batch, seed)


def call(module: nn.Module, inputs: Inputs) -> Any:
    """Call a module with positional or keyword arguments."""
    return module(**inputs) if isinstance(inputs, dict) else module(*inputs)


def float_outputs(value: Any) -> list[Tensor]:
    """Return the floating-point tensors of an output, in order, also those within dataclasses."""
    return [leaf for leaf in _leaves(value) if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def _leaves(value: Any) -> Iterator[Any]:
    for leaf in tree_leaves(value):
        if is_dataclass(leaf) and not isinstance(leaf, type):
            for field in fields(leaf):
                yield from _leaves(getattr(leaf, field.name))
        else:
            yield leaf


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
        inputs: positional or keyword arguments.
        training: the mode to run in.
        seed: seed of the projection and of the random state.
        scale: divisor of the loss. None divides the gradients by their own largest magnitude and reports it, so that a
            second run with this scale sees the same loss and optimizers get gradients of moderate size.
    """
    module.train(training)
    module.zero_grad(set_to_none=True)
    own: Inputs = tree_map(_own, inputs)
    leaves = [leaf for leaf in tree_leaves(own) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    torch.manual_seed(seed)
    outputs = float_outputs(call(module, own))
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


def _own(leaf: Any) -> Any:
    """Return a copy of a tensor that gradients are wanted for, so that nothing is left behind in the caller's."""
    return leaf.detach().clone().requires_grad_(leaf.is_floating_point()) if isinstance(leaf, Tensor) else leaf
