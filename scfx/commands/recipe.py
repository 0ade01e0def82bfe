"""What `scfx compress` trains: a model, batches and a loss, as the user's own function gives them."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scfx.commands.usage import UsageError
from scfx.commands.user_file import guarded, kind, returned_by
from scfx.errors import ScfxError

RETURNS = "(model, batches) or (model, batches, loss)"


class TrainingError(ScfxError, RuntimeError):
    """Training can't go on."""


@dataclass(frozen=True)
class Recipe:
    """What to train, and on what.

    Attributes:
        path: The file that it is from.
        model: The model.
        inputs: What the model is called with for the first batch, as `scfx.compress` takes it.
        batches: One after the other, the first one first, and again from the first as often as that is possible.
        loss: Of a network and a batch; a scalar to be made small.
    """

    path: Path
    model: nn.Module
    inputs: tuple[Any, ...] | dict[str, Any]
    batches: Iterator[Any]
    loss: Callable[[nn.Module, Any], Any]

    @staticmethod
    def of(path: Path, name: str) -> Recipe:
        """Calls the user's function, and tries its loss on the first batch.

        Raises:
            UsageError: It doesn't return what it should, or there is no batch, or the loss is none.
            UserCodeError: The user's code raised an error.
        """
        made = returned_by(path, name)
        model, batches, *rest = made if isinstance(made, tuple) and len(made) in (2, 3) else (made, None)
        if not isinstance(model, nn.Module) or not (isinstance(batches, Iterable) or callable(batches)):
            raise UsageError(f"{path}: {name}() returns {_kinds(made)}, but should return {RETURNS}")
        loss = rest[0] if rest else _cross_entropy
        if not callable(loss):
            raise UsageError(f"{path}: the loss that {name}() returns is {kind(loss)}, and no function of (net, batch)")
        stream = _again_and_again(batches)
        first = guarded(path, "the first batch", lambda: next(stream, _NOTHING))
        if first is _NOTHING:
            raise UsageError(f"{path}: {name}() returns no batches: there is nothing to train on")
        recipe = Recipe(path, model, (), itertools.chain([first], stream), loss)
        return replace(recipe, inputs=recipe._inputs(first))

    def next_batch(self, step: int, steps: int) -> Any:
        """The batch of a step, from 0.

        Raises:
            TrainingError: There are no more.
            UserCodeError: The user's code raised an error.
        """
        batch = guarded(self.path, f"batch {step + 1:,}", lambda: next(self.batches, _NOTHING))
        if batch is _NOTHING:
            raise TrainingError(
                f"there are {step:,} batches for {steps:,} steps, and what they come from can't be gone through again: "
                "return a list, a DataLoader or a function that makes an iterator, or ask for fewer --steps"
            )
        return batch

    def loss_of(self, net: nn.Module, batch: Any) -> Tensor:
        """The loss, checked to be one.

        Raises:
            UsageError: It is no scalar of floating point.
            UserCodeError: The user's code raised an error.
        """
        loss = guarded(self.path, "the loss", lambda: self.loss(net, batch))
        if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.is_floating_point():
            shown = f"of shape {tuple(loss.shape)} and {loss.dtype}" if isinstance(loss, Tensor) else ""
            raise UsageError(
                f"the loss is {kind(loss)} {shown}".rstrip() + ", but should be one number: a scalar tensor"
            )
        return loss.reshape(())

    def _inputs(self, batch: Any) -> tuple[Any, ...] | dict[str, Any]:
        """What the loss calls the model with."""
        seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        handle = self.model.register_forward_pre_hook(
            lambda _, args, kwargs: seen.append((args, kwargs)), with_kwargs=True
        )
        training = self.model.training
        try:
            with torch.no_grad():
                loss = self.loss_of(self.model.eval(), batch)
        finally:
            handle.remove()
            self.model.train(training)
        if not seen:
            raise UsageError(f"{self.path}: the loss doesn't call the network that it is given")
        if not loss.isfinite():
            raise TrainingError(
                f"the loss of the model as it is, on the first batch, is {float(loss)}: nothing to start from"
            )
        args, kwargs = seen[0]
        if not kwargs:
            return args
        return kwargs if not args else dict(inspect.signature(self.model.forward).bind(*args, **kwargs).arguments)


_NOTHING = object()


def _again_and_again(batches: Any) -> Iterator[Any]:
    """All batches, and then all again, until there are none."""
    while True:
        count = 0
        for batch in batches if isinstance(batches, Iterable) else batches():
            count += 1
            yield batch
        if not count:
            return


def _cross_entropy(net: nn.Module, batch: Any) -> Tensor:
    """The usual loss, of pairs of inputs and classes."""
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], Tensor)):
        raise UsageError(
            f"a batch is {_kinds(batch)}; without a loss batches are pairs of (inputs, classes): return "
            "(model, batches, loss), where loss(net, batch) is a scalar"
        )
    inputs, classes = batch
    outputs = net(**inputs) if isinstance(inputs, dict) else net(*inputs) if isinstance(inputs, tuple) else net(inputs)
    if not isinstance(outputs, Tensor):
        raise UsageError(f"the model returns {kind(outputs)}, of which no cross-entropy is known: return a loss, too")
    return functional.cross_entropy(outputs, classes)


def _kinds(value: object) -> str:
    """What something is, and what is in it."""
    if isinstance(value, (tuple, list)):
        return f"{kind(value)} of {', '.join(kind(each) for each in value[:4]) or 'nothing'}"
    return kind(value)
