"""Small networks that the tests of training, pruning and finalizing share."""

import torch
from torch import Tensor, nn

import scfx


class Block(nn.Module):
    """A residual block: conv-BN-ReLU twice, with an identity or a projection as its shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Residual(nn.Module):
    """A residual network with a concatenating branch, for (batch, 1, 8, 8) images and 10 classes."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.block1 = Block(width, width)
        self.block2 = Block(width, 2 * width, 2)
        self.branch = nn.Conv2d(2 * width, width, 3, padding=1)
        self.head = nn.Linear(3 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block2(self.block1(self.stem(x)))
        x = torch.cat([x, torch.relu(self.branch(x))], 1)
        result: Tensor = self.head(x.mean((2, 3)))
        return result


def small() -> nn.Module:
    """A chain of two convolutions for the same images, which is captured in no time."""
    layers = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * 16, 10)).double()


def images(count: int, seed: int = 0) -> Tensor:
    """Random images for `Residual`, in float64."""
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pruned() -> scfx.CompressedModule:
    """`small()`, of whose first 8 channels 4 are gone."""
    model = small()
    with torch.no_grad():
        for name in ("0.weight", "0.bias", "1.bias"):
            model.get_parameter(name)[:4] = 0
    net = scfx.compress(model, images(2), dynamic=False)
    with torch.no_grad():
        net.get_parameter("0.weight_quantizer.bits")[:4] = 0
    net.prune()
    return net


def labels(count: int, seed: int = 0) -> Tensor:
    """Random classes for `Residual`."""
    return torch.randint(0, 10, (count,), generator=torch.Generator().manual_seed(seed))
