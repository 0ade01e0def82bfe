"""Small models that capture is tried on, and what it takes to compare a program with its model."""

from __future__ import annotations

import warnings
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

Pair = namedtuple("Pair", "a b")


@dataclass
class Answer:
    """A dataclass output with a field that stays empty."""

    a: torch.Tensor
    b: torch.Tensor | None = None


class Base(nn.Module):
    """One linear layer, 3 features to 4."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)


class TwoOutputs(Base):
    """A named tuple in train mode, a tensor in eval mode, as networks with auxiliary heads do."""

    def forward(self, x: torch.Tensor) -> Any:
        y = self.layer(x)
        return Pair(y, y.sum()) if self.training else y


class DataclassOutput(Base):
    """Keyword-only arguments, a dataclass out."""

    def forward(self, x: torch.Tensor, *, scale: float = 2.0, mask: torch.Tensor | None = None) -> Answer:
        return Answer(self.layer(x) * scale)


class Keywords(Base):
    """Nested inputs and `**kwargs`."""

    def forward(self, *, x: torch.Tensor, batch: dict[str, list[torch.Tensor]], **more: torch.Tensor) -> dict[str, Any]:
        return {"out": self.layer(x) + batch["m"][0] + more["extra"], "nothing": None}


class TwoInputs(Base):
    """Two inputs that an example may give as one tensor."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(a) + 2 * self.layer(b * b)
        return result


class WeightNorm(nn.Module):
    """Parametrized weights, the old and the new way, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.new = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated, and still what many models use
            self.old = nn.utils.weight_norm(nn.Linear(4, 4))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.dropout(self.old(self.new(x)))
        return result


class InPlace(Base):
    """Operators that write into values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        y += 1
        y[:, 0] = 0
        result: torch.Tensor = F.relu_(y) + torch.rand(x.shape[0], 4)
        return result


class Tied(nn.Module):
    """One module used twice under two names, one weight under two names, a constant, and buffers of both kinds."""

    def __init__(self) -> None:
        super().__init__()
        shared = nn.Linear(4, 4)
        self.first = shared
        self.block = nn.Sequential(shared, nn.BatchNorm1d(4), shared)
        self.embedding = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embedding.weight
        self.constant = torch.arange(4.0)
        self.calls: torch.Tensor
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        self.calls = self.calls + 1
        with torch.no_grad():
            scale = self.first.weight.norm() * self.constant
        result: torch.Tensor = self.head(self.block(self.first(self.embedding(ids))) * scale) * self.calls
        return result


class Convolution(nn.Module):
    """A convolution and batch norm over images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.norm(self.conv(x)).flatten(1)
        return result


X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))

MODELS: dict[str, tuple[type[nn.Module], Any]] = {
    "two outputs": (TwoOutputs, X),
    "two outputs, one sample": (TwoOutputs, {"x": X[:1]}),
    "dataclass": (DataclassOutput, X),
    "keywords": (Keywords, {"x": X, "extra": torch.ones(4, 4), "batch": {"m": [torch.ones(4, 4)]}}),
    "one tensor twice": (TwoInputs, (X, X)),
    "weight norm": (WeightNorm, X),
    "in place": (InPlace, X),
    "tied": (Tied, torch.arange(8) % 5),
    "convolution": (Convolution, torch.ones(1, 3, 6, 6)),
}
