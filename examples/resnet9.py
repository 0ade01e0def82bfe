"""David Page's ResNet-9 (DAWNBench, 2018), as in "Self-Compressing Neural Networks": 6,568,640 weights at width 64."""

from __future__ import annotations

from torch import Tensor, nn


def unit(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    """Convolution, batch norm, ReLU and, if asked for, a pooling that halves the image."""
    layers = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2)) if pool else nn.Sequential(*layers)


class Residual(nn.Module):
    """Two units around an identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(unit(width, width), unit(width, width))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.body(x)
        return result


class ResNet9(nn.Module):
    """Reads images of 32 x 32 pixels.

    Args:
        width: Channels of the stem; the last layers are eight times as wide.
    """

    def __init__(self, width: int = 64, classes: int = 10) -> None:
        super().__init__()
        self.stem = unit(3, width)
        self.layer1 = nn.Sequential(unit(width, 2 * width, pool=True), Residual(2 * width))
        self.layer2 = unit(2 * width, 4 * width, pool=True)
        self.layer3 = nn.Sequential(unit(4 * width, 8 * width, pool=True), Residual(8 * width))
        self.pool = nn.MaxPool2d(4)
        self.linear = nn.Linear(8 * width, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, 32, 32) -> (batch, classes); as in Page's, an eighth of what the last layer puts out."""
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        logits: Tensor = 0.125 * self.linear(self.pool(x).flatten(1))
        return logits
