"""Training on the random images of `tests.toys`: one step, and a loop that removes channels at some time."""

from __future__ import annotations

import torch
from torch.nn import functional

import scfx
from scfx.surgery.pruning import PruneReport
from tests.toys import images, labels


def step(
    net: scfx.CompressedModule, optimizer: torch.optim.Optimizer, number: int, gamma: float = 0.0, samples: int = 8
) -> PruneReport | None:
    """One step on the images of this number, with gamma times the size in the loss, and its update."""
    learn(net, optimizer, number, gamma, samples)
    optimizer.step()
    return net.update(optimizer)


def learn(
    net: scfx.CompressedModule, optimizer: torch.optim.Optimizer, number: int, gamma: float, samples: int = 8
) -> None:
    """The gradients of one step."""
    optimizer.zero_grad()
    loss = functional.cross_entropy(net(images(samples, number)), labels(samples, number))
    (loss + gamma * net.size() if gamma else loss).backward()


def train(
    net: scfx.CompressedModule, optimizer: torch.optim.Optimizer, steps: int, gamma: float, prune_every: int | None
) -> list[float]:
    """Trains on random images, removes channels every so many steps and at the end; returns the sizes on the way."""
    sizes = []
    for number in range(1, steps + 1):
        sizes.append(float(net.size().detach()))
        step(net, optimizer, number, gamma, 16)
        if prune_every is not None and number % prune_every == 0:
            net.prune(optimizer)
    net.prune(optimizer)
    return sizes
