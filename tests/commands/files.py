"""A file with models, as a user has one."""

from pathlib import Path

import pytest

SOURCE = '''
from collections import OrderedDict

import torch
from torch import nn


class Blocks(nn.Module):
    """Two blocks that are alike behind each other, an unused parameter, two outputs."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 6)) for _ in range(2)])
        self.head = nn.Linear(6, 2)
        self.idle = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return {"logits": self.head(x), "hidden": x}


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 6)

    def forward(self, x):
        return self.layer(x).renorm(2, 0, 1.0).sum(1)


class Restless(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else x


def blocks():
    return Blocks(), torch.randn(2, 4)


def bare():
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))


def odd():
    return Odd(), torch.randn(2, 4)


def restless():
    return Restless(), torch.randn(2, 4)


def tokens():
    return nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2))


def number():
    return 3


def wide(width):
    return nn.Linear(width, width)


def broken():
    width = 0
    return nn.Linear(4, 4 // width)


ready = nn.Linear(4, 3)
'''


@pytest.fixture
def models(tmp_path: Path) -> str:
    """The path of the file."""
    path = tmp_path / "models.py"
    path.write_text(SOURCE)
    return str(path)
