"""What the listed models are fed: normally distributed floats in double precision, random ids."""

import torch
from torch import Tensor

from tests.observation import MakeInputs


def normal(*shape: int, seed: int) -> Tensor:
    """Return a normally distributed tensor."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def floats(*shapes: tuple[int, ...]) -> MakeInputs:
    """Return what makes positional float tensors of the given shapes, behind the batch size."""

    def make(batch: int, seed: int) -> tuple[Tensor, ...]:
        return tuple(normal(batch, *shape, seed=1000 * position + seed) for position, shape in enumerate(shapes))

    return make


def images(size: int, channels: int = 3) -> MakeInputs:
    """Return what makes one batch of square images."""
    return floats((channels, size, size))


def ids(*lengths: int, below: int) -> MakeInputs:
    """Return what makes positional tensors of integers, sequences of the given lengths."""

    def make(batch: int, seed: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        return tuple(torch.randint(below, (batch, length), generator=generator) for length in lengths)

    return make
