"""The training loop: one and the same for the dense and for the self-compressing network."""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam

from scfx.compress import CompressedModule
from scfx.demo.data import Digits
from scfx.demo.measuring import Layer, Size, accuracy, layers_of, size_of
from scfx.demo.settings import Settings

LEARNING_RATE = 3e-3
WEIGHT_DECAY = 5e-4

# The paper gives the quantizers lr 0.5 and eps 1e-3, for 850 epochs of a network twelve times this size. There the
# gradients of the depths are far below eps, and a step is lr / eps = 500 times the gradient. Here they reach eps, and
# steps would reach lr: half an octave of scale at once. A fifth of both keeps the ratio and bounds every step at 0.1.
QUANTIZER_LR = 0.1
QUANTIZER_EPS = 2e-4


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch.

    Attributes:
        number: Counted from 1.
        accuracy: On the held-out digits, in percent.
        size: Of the model as it is now.
        layers: Of a self-compressing model.
        step_ms: The median time of a training step.
        seconds: Since training began.
    """

    number: int
    accuracy: float
    size: Size
    layers: tuple[Layer, ...]
    step_ms: float
    seconds: float


def optimizer_for(model: nn.Module) -> Adam:
    """Adam with the same values for weights and other parameters of either network."""
    if isinstance(model, CompressedModule):
        return Adam(
            model.param_groups(LEARNING_RATE, WEIGHT_DECAY, quantizer_lr=QUANTIZER_LR, quantizer_eps=QUANTIZER_EPS)
        )
    return dense_optimizer(model, LEARNING_RATE, WEIGHT_DECAY)


def dense_optimizer(model: nn.Module, lr: float, weight_decay: float) -> Adam:
    """Adam with the paper's values for a network without quantizers; only what has several dims has weight decay."""
    weights = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": weight_decay}, {"params": others}]
    return Adam(groups, lr=lr, eps=1e-5)


def train(model: nn.Module, digits: Digits, settings: Settings, seen: Callable[[Epoch], None]) -> list[Epoch]:
    """Trains a model in place and tells after each epoch how it is doing."""
    generator = torch.Generator().manual_seed(settings.seed)
    optimizer = optimizer_for(model)
    rates = [group["lr"] for group in optimizer.param_groups]
    epochs: list[Epoch] = []
    step, steps = 0, settings.epochs * (len(digits.labels) // settings.batch_size)
    model.train()
    _warm_up(model, digits, settings)
    start = time.perf_counter()
    for number in range(1, settings.epochs + 1):
        times = []
        for images, labels in digits.batches(settings.batch_size, generator):
            set_rates(optimizer, rates, step / steps)
            began = time.perf_counter()
            learn(model, optimizer, functional.cross_entropy(model(images), labels), settings.gamma)
            times.append(1000 * (time.perf_counter() - began))
            step += 1
        right = accuracy(model, digits.held_out_images, digits.held_out_labels)
        seconds = time.perf_counter() - start
        epochs.append(Epoch(number, right, size_of(model), tuple(layers_of(model)), statistics.median(times), seconds))
        seen(epochs[-1])
    return epochs


def set_rates(optimizer: Adam, rates: Sequence[float], progress: float) -> None:
    """Sets the learning rate of each parameter group, given those of the start."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * schedule(progress)


def learn(model: nn.Module, optimizer: Adam, loss: Tensor, gamma: float) -> None:
    """One step of either network, given the loss of a batch; gamma is the factor of the size beside it."""
    if isinstance(model, CompressedModule) and gamma:
        loss = loss + gamma * model.size()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if isinstance(model, CompressedModule):
        model.update(optimizer)


def schedule(progress: float) -> float:
    """The factor of every learning rate: 1 for the first half of training, then half a cosine down to 0."""
    return 1.0 if progress < 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * progress - 1)))


def _warm_up(model: nn.Module, digits: Digits, settings: Settings) -> None:
    """Runs a copy a few times: the first steps of a process are slow, and would make the dense network look slow."""
    other = copy.deepcopy(model)
    for _ in range(3):
        images, labels = digits.images[: settings.batch_size], digits.labels[: settings.batch_size]
        functional.cross_entropy(other(images), labels).backward()
