"""Networks some of whose channels are constants: those that a layer can take over, and those that stay."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import scfx

Change = Callable[[scfx.CompressedModule], None]


def dead(*names: str, start: int = 0) -> Change:
    """Channels 0 and 1 of some weights have no input any more."""

    def change(net: scfx.CompressedModule) -> None:
        for name in names:
            net.get_parameter(name)[start : start + 2] = 0

    return change


def shifted(net: scfx.CompressedModule) -> None:
    """The same, before a batch norm with shifts and a mean that has arrived at what it estimates."""
    dead("0.weight")(net)
    net.get_parameter("1.bias").uniform_(0.5, 1)
    net.get_buffer("1.running_mean").zero_()


def unsettled(net: scfx.CompressedModule) -> None:
    """The same with a mean that has not."""
    shifted(net)
    net.get_buffer("1.running_mean").fill_(0.3)


def negative(net: scfx.CompressedModule) -> None:
    """The constants are negative."""
    dead("0.weight")(net)
    net.get_parameter("0.bias")[:2] = -1


def one_head(net: scfx.CompressedModule) -> None:
    """The first of two heads with four features each."""
    for start in (0, 2):
        dead("left.weight", "right.weight", start=start)(net)


class Wired(nn.Module):
    """Two layers that read the input, and something that joins them and is read by a third."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], inputs: int = 8, conv: bool = False) -> None:
        super().__init__()
        self.left, self.right = (nn.Conv2d(3, 8, 3) if conv else nn.Linear(6, 8) for _ in range(2))
        self.join = join
        self.last = nn.Conv2d(inputs, 5, 1) if conv else nn.Linear(inputs, 5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.join(self.left(x), self.right(x)))
        return y


class Shared(nn.Module):
    """One bias in two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.last(torch.cos(self.first(x))), self.first.weight[:6], self.last.bias)


def heads(left: Tensor, right: Tensor) -> Tensor:
    return (left.view(-1, 2, 4).transpose(1, 2).exp() * 2).transpose(1, 2).flatten(1) + right.flatten(1)


def product_sum(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum((2, 3), keepdim=True)


def attend(left: Tensor, right: Tensor) -> Tensor:
    tokens = right.view(-1, 2, 4)
    return F.scaled_dot_product_attention(tokens, tokens, left.view(-1, 2, 4)).flatten(1)


def sequence(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers)


VECTORS, IMAGES = (6,), (3, 8, 8)

ABSORBED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], Change]] = {
    "activation": (lambda: sequence(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 5)), VECTORS, dead("0.weight")),
    "nothing but f(0)": (
        lambda: sequence(nn.Linear(6, 8, bias=False), nn.Sigmoid(), nn.Linear(8, 1)),
        VECTORS,
        dead("0.weight"),
    ),
    "convolution 1 x 1": (
        lambda: sequence(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 5, 1)),
        IMAGES,
        dead("0.weight"),
    ),
    "convolution without padding": (
        lambda: sequence(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 5, 3, stride=2)),
        IMAGES,
        dead("0.weight"),
    ),
    "zero behind the activation": (
        lambda: sequence(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 3, padding=1)),
        IMAGES,
        negative,
    ),
    "batch norm": (
        lambda: sequence(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 5, 1)),
        IMAGES,
        shifted,
    ),
    "depthwise": (
        lambda: sequence(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Conv2d(8, 8, 3, groups=8), nn.SiLU(), nn.Conv2d(8, 5, 1)),
        IMAGES,
        dead("0.weight"),
    ),
    "pooling": (
        lambda: sequence(nn.Conv2d(3, 8, 3), nn.AvgPool2d(2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 5)),
        IMAGES,
        dead("0.weight"),
    ),
    "padding that isn't counted": (
        lambda: sequence(nn.Conv2d(3, 8, 3), nn.AvgPool2d(2, padding=1, count_include_pad=False), nn.Conv2d(8, 5, 1)),
        IMAGES,
        dead("0.weight"),
    ),
    "average": (
        lambda: sequence(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)),
        IMAGES,
        dead("0.weight"),
    ),
    "sum": (lambda: Wired(lambda a, b: F.silu(a) + b), VECTORS, dead("left.weight", "right.weight")),
    "product": (lambda: Wired(lambda a, b: a * b, conv=True), IMAGES, dead("left.weight", "right.weight")),
    "concatenation": (
        lambda: Wired(lambda a, b: torch.cat([a, b.cos()], 1), 16, conv=True),
        IMAGES,
        dead("right.weight"),
    ),
    "heads": (lambda: Wired(heads), VECTORS, one_head),
}

STAYS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], Change]] = {
    "padding": (
        lambda: sequence(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 5, 3, padding=1)),
        IMAGES,
        dead("0.weight"),
    ),
    "transposed": (
        lambda: sequence(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.ConvTranspose2d(8, 5, 3)),
        IMAGES,
        dead("0.weight"),
    ),
    "padding on the way": (
        lambda: sequence(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 5, 1)),
        IMAGES,
        dead("0.weight"),
    ),
    "padding that is counted": (
        lambda: sequence(nn.Conv2d(3, 8, 3), nn.AvgPool2d(2, padding=1), nn.Conv2d(8, 5, 1)),
        IMAGES,
        dead("0.weight"),
    ),
    "padding on the way, averaged": (
        lambda: sequence(
            nn.Conv2d(3, 8, 3),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 5),
        ),
        IMAGES,
        dead("0.weight"),
    ),
    "a sum over positions": (lambda: Wired(product_sum, conv=True), IMAGES, dead("left.weight", "right.weight")),
    "no bias": (lambda: sequence(nn.Linear(6, 8), nn.Linear(8, 5, bias=False)), VECTORS, dead("0.weight")),
    "a shared bias": (Shared, VECTORS, dead("first.weight")),
    "another mean": (
        lambda: sequence(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 5, 1)),
        IMAGES,
        unsettled,
    ),
    "dropout": (
        lambda: sequence(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 5)),
        VECTORS,
        dead("0.weight"),
    ),
    "one of two": (lambda: Wired(lambda a, b: a + b), VECTORS, dead("left.weight")),
    "attention": (lambda: Wired(attend), VECTORS, dead("left.weight")),
    "an output": (lambda: sequence(nn.Linear(6, 8), nn.GELU()), VECTORS, dead("0.weight")),
    "a norm over channels": (
        lambda: sequence(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 5)),
        VECTORS,
        dead("0.weight"),
    ),
}


def network(case: tuple[Callable[[], nn.Module], tuple[int, ...], Change], quantize: bool) -> scfx.CompressedModule:
    build, shape, change = case
    torch.manual_seed(0)
    net = scfx.compress(build().double(), inputs(shape, 3), quantize=quantize)
    with torch.no_grad():
        change(net)
    return net


def inputs(shape: tuple[int, ...], batch: int) -> Tensor:
    return torch.randn(batch, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(batch))
