"""How an architecture is listed: what builds it, what it is fed, and what the coverage page says of it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from tests.double import DoublePrecision
from tests.observation import Inputs, MakeInputs
from tests.zoo.quick import QUICK
from tests.zoo.settle import settle

__all__ = ["Inputs", "ZooModel"]


@dataclass(frozen=True)
class ZooModel:
    """An architecture, as small as it can be without becoming another one.

    Attributes:
        name: The source and the model: "torchvision/resnet18", "own/unet".
        build: Makes it with random weights, in any precision.
        inputs: Makes positional arguments (a tuple) or keyword arguments (a dict) of a batch size from a seed. Floats
            are in double precision.
        note: Why less than 75 % of it is prunable, in one line, where that needs explaining.
        rounds: How often the sweep zeroes channels and prunes.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: MakeInputs
    note: str = ""
    rounds: int = 2

    @property
    def source(self) -> str:
        """Where the model comes from: the part of its name before the slash."""
        return self.name.partition("/")[0]

    @property
    def quick(self) -> bool:
        """Whether it stands for its kind in `make test`."""
        return self.name in QUICK

    def settled(self, seed: int = 0) -> nn.Module:
        """Return the model in double precision, ready for the exactness tests."""
        torch.manual_seed(seed)
        model = self.build().double()
        with DoublePrecision():
            return settle(model, self.inputs(4, seed))
