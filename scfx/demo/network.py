"""The network of the demo: residual blocks with identity and projection shortcuts, and two branches that are joined."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def unit(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Convolution, batch norm and, unless a sum follows, ReLU."""
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


class Residual(nn.Module):
    """Two convolutions around a shortcut, which projects where the shape changes.

    A trunk channel can go only when everything that adds to it is zero; the channels inside a block are free. So the
    block is wide inside and narrow at its ends.
    """

    def __init__(self, inputs: int, inside: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(unit(inputs, inside, stride=stride), unit(inside, outputs, relu=False))
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else unit(inputs, outputs, 1, stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height / stride, width / stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


class Branches(nn.Module):
    """A near-sighted and a far-sighted branch, concatenated."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.near = unit(inputs, half)
        self.far = nn.Sequential(unit(inputs, half), unit(half, half))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height, width)."""
        return torch.cat([self.near(x), self.far(x)], dim=1)


class DigitsNet(nn.Module):
    """Reads digits of 8 x 8 pixels. Nearly all of it works on 4 x 4, where time goes with the number of weights.

    Args:
        width: Channels of the stem; the trunk behind it is twice as wide, blocks inside up to six times.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.stem = unit(1, width)
        self.shrink = Residual(width, 4 * width, 2 * width, stride=2)
        self.branches = Branches(2 * width, 6 * width)
        self.project = Residual(6 * width, 6 * width, 2 * width)
        self.identity = Residual(2 * width, 6 * width, 2 * width)
        self.head = nn.Linear(2 * width, 10)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 1, 8, 8) -> (batch, 10): a score for each digit."""
        x = self.branches(self.shrink(self.stem(images)))
        logits: Tensor = self.head(self.identity(self.project(x)).mean(dim=(2, 3)))
        return logits
