"""The training loop of all examples: one and the same for the dense and for the self-compressing network."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

from scfx import CompressedModule
from scfx.demo.learning import dense_optimizer, learn, set_rates
from scfx.demo.measuring import size_of
from scfx.nodes.quantizer import Quantizer


class Task(Protocol):
    """What a model learns, and how it is judged."""

    def batches(self, generator: Generator) -> Iterator[Any]:
        """One epoch."""

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The loss of a training batch."""

    def score(self, model: nn.Module) -> float:
        """How good a model is on what it was not trained on."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        epochs: How often it sees all there is to learn from.
        lr, weight_decay: Of the weights; other parameters have no weight decay.
        quantizer_lr, quantizer_eps: Of bit depths and exponents.
        gamma: The factor of the size, in bits per original weight, in the loss.
        until: Bits per original weight, counted on real integers, at which depths stop for good; each is then raised to
            the whole number of bits in which its integers are stored. Without, depths move until the end.
        start_bits: The depth that quantizers start with, each with the exponent that `scfx.compress` would choose.
        settled_rate: What the learning rate of exponents is multiplied by once depths have stopped: scales that still
            move at full speed disturb weights that settle.
        teacher_share: The part of the loss that compares with a teacher, where there is one.
        prune_every: Steps between removals.
        seed: Decides first weights, order and augmentation.
    """

    epochs: int
    lr: float = 1e-3
    weight_decay: float = 5e-4
    quantizer_lr: float = 0.5
    quantizer_eps: float = 1e-3
    gamma: float = 0.0
    until: float | None = None
    start_bits: float = 8.0
    settled_rate: float = 1.0
    teacher_share: float = 0.0
    prune_every: int = 100
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch.

    Attributes:
        loss: The mean over its training batches.
        score: Of the model after it.
        weights, weight_bits: What is left, counted on real integers.
        seconds, cpu_seconds: Its training, without measuring, by the clock and by the processor.
        step_ms: The median of its training steps, by the processor.
    """

    number: int
    loss: float
    score: float
    weights: int
    weight_bits: int
    seconds: float
    cpu_seconds: float
    step_ms: float


def optimizer_for(model: nn.Module, recipe: Recipe) -> torch.optim.Adam:
    """Adam with the paper's values; of the quantizers, depths and exponents are groups of their own."""
    if not isinstance(model, CompressedModule):
        return dense_optimizer(model, recipe.lr, recipe.weight_decay)
    groups = model.param_groups(
        recipe.lr, recipe.weight_decay, quantizer_lr=recipe.quantizer_lr, quantizer_eps=recipe.quantizer_eps
    )
    quantizers = groups.pop()
    groups.append({**quantizers, "params": [quantizer.exponent for _, quantizer in model.quantizers()]})
    groups.append({**quantizers, "params": [quantizer.bits for _, quantizer in model.quantizers()]})
    return torch.optim.Adam(groups)


def train(
    model: nn.Module, task: Task, recipe: Recipe, steps: int, seen: Callable[[Epoch], None] = lambda _: None
) -> list[Epoch]:
    """Trains a model in place and tells after each epoch how it is doing.

    Args:
        model: One that compresses itself starts with the depths that it has.
        steps: Batches in one epoch.
    """
    generator = Generator().manual_seed(recipe.seed)
    optimizer = optimizer_for(model, recipe)
    rates = [group["lr"] for group in optimizer.param_groups]
    original = size_of(model).weights
    if isinstance(model, CompressedModule):
        model.prune_every = recipe.prune_every
    epochs: list[Epoch] = []
    step, moving = 0, isinstance(model, CompressedModule)
    for number in range(1, recipe.epochs + 1):
        model.train()
        losses, times, start, cpu = [], [], time.perf_counter(), time.process_time()
        for batch in task.batches(generator):
            set_rates(optimizer, rates, step / (steps * recipe.epochs))
            if isinstance(model, CompressedModule) and not moving:
                exponents, depths = optimizer.param_groups[-2:]
                exponents["lr"] *= recipe.settled_rate
                depths["lr"] = 0.0
            began = time.process_time()
            loss = task.loss(model, batch)
            losses.append(loss.detach())
            learn(model, optimizer, loss, recipe.gamma if moving else 0.0)
            times.append(1000 * (time.process_time() - began))
            step += 1
            if moving and recipe.until is not None and step % 10 == 0:
                assert isinstance(model, CompressedModule)
                if size_of(model).weight_bits <= recipe.until * original:
                    settle_depths(model)
                    moving = False
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        size = size_of(model)
        mean = float(torch.stack(losses).mean())
        median = statistics.median(times)
        score = task.score(model)
        epochs.append(Epoch(number, mean, score, size.weights, size.weight_bits, seconds, cpu, median))
        seen(epochs[-1])
    return epochs


def start_depths(model: CompressedModule, bits: float) -> None:
    """Starts all quantizers anew, at another depth than `compress` did."""
    for path, quantizer in model.quantizers():
        weight = model.get_parameter(path.removesuffix("_quantizer"))
        groups = quantizer.bits.numel() // math.prod(weight.shape[dim] for dim in quantizer.dims)
        quantizer.load_state_dict(Quantizer(weight, quantizer.dims, groups, bits).state_dict())


@torch.no_grad()
def settle_depths(model: CompressedModule) -> None:
    """Raises each depth to the bits in which its integers are stored anyway, so that all of these can occur."""
    for _, quantizer in model.quantizers():
        quantizer.bits.copy_(quantizer.storage_bits())
