"""Networks with norms, scales and shifts that the layers beside them can take over, or can't."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.networks import _randomise


def randomised(model: nn.Module) -> nn.Module:
    """The model in float64, with statistics as after some training."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            _randomise(module)
    return model.double()


class Scale(nn.Module):
    """A number for each channel, by which it is multiplied, or which is added."""

    def __init__(self, *shape: int, add: bool = False) -> None:
        super().__init__()
        self.values, self.add = nn.Parameter(torch.rand(shape) + 0.5), add

    def forward(self, x: Tensor) -> Tensor:
        return self.values + x if self.add else x * self.values


class Turned(nn.Module):
    """A module on what has its channels last, of what has them in dim 1, or the other way round."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module(x.transpose(1, -1)).transpose(1, -1)
        return y


class Flat(nn.Module):
    """A norm over the features of a sequence, position by position."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x.flatten(0, 1)).reshape_as(x)
        return y


class Twice(nn.Module):
    """What a layer makes is read behind its norm and beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        z: Tensor = torch.relu(self.norm(y)) + y
        return z


class Shared(nn.Module):
    """Two layers with one weight, and a norm behind one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm, self.other = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
        self.other.weight = self.layer.weight

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.norm(self.layer(torch.tanh(self.other(x))))
        return z


class SharedBias(nn.Module):
    """Two layers with one bias, and a norm behind each."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(2))
        self.layers[1].bias = self.layers[0].bias

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.tanh(norm(layer(x)))
        return x


class Single(nn.Module):
    """A convolution of one sample alone, whose second dim is not its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(4, 6, 1), nn.BatchNorm1d(5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.layer(x[0]))
        return y


class Own(nn.Module):
    """A norm with its batch's own statistics in evaluation, too, and one that is written out, as detectors have it."""

    def __init__(self, written: bool) -> None:
        super().__init__()
        self.layer, self.written = nn.Conv2d(4, 6, 3, padding=1), written
        self.register_buffer("mean", torch.randn(6))
        self.register_buffer("deviation", torch.rand(6) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        if not self.written:
            return functional.batch_norm(y, None, None, training=True)
        y = (y - self.get_buffer("mean").view(-1, 1, 1)) / self.get_buffer("deviation").view(1, -1, 1, 1)
        return y * 2 + 1


def sequence(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers)


#: Networks on (batch, 4, 5, 5), and of how many nodes nothing is left if weights are quantized, and if they aren't.
CASES: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "behind": (lambda: sequence(nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)), 1, 1),
    "groups": (lambda: sequence(nn.Conv2d(4, 6, 3, 2, groups=2), nn.BatchNorm2d(6, affine=False)), 1, 1),
    "depthwise": (lambda: sequence(nn.Conv2d(4, 8, 3, groups=4), nn.BatchNorm2d(8), nn.BatchNorm2d(8)), 2, 2),
    "transposed": (lambda: sequence(nn.ConvTranspose2d(4, 6, 3), nn.BatchNorm2d(6)), 1, 1),
    "transposed_groups": (lambda: sequence(nn.ConvTranspose2d(4, 6, 2, 2, groups=2), nn.BatchNorm2d(6)), 1, 1),
    "transposed_before": (lambda: sequence(nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 6, 3)), 0, 0),
    "before": (lambda: sequence(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3)), 0, 1),
    "before_groups": (lambda: sequence(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2, bias=False)), 0, 1),
    "before_depthwise": (lambda: sequence(nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3, groups=4, padding="valid")), 1, 1),
    "before_padding": (lambda: sequence(nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3, groups=4, padding="same")), 0, 0),
    "scale_before_padding": (lambda: sequence(Scale(4, 1, 1), nn.Conv2d(4, 4, 3, groups=4, padding=1)), 1, 1),
    "number_before": (lambda: sequence(Scale(1), nn.Conv2d(4, 6, 3, padding=1), Scale(1), Scale()), 3, 3),
    "sequence": (lambda: Turned(sequence(nn.Linear(4, 6), Scale(6), Scale(1, 6, add=True), nn.ReLU())), 2, 2),
    "turned": (lambda: sequence(Turned(nn.Linear(4, 6)), nn.BatchNorm2d(6)), 1, 1),
    "turned_before": (lambda: sequence(nn.BatchNorm2d(4), Turned(nn.Linear(4, 6))), 0, 1),
    "flat": (lambda: sequence(nn.Flatten(2), Turned(sequence(nn.Linear(4, 6), Flat(6)))), 1, 1),
    "instance": (lambda: sequence(nn.Conv2d(4, 6, 3), nn.InstanceNorm2d(6, track_running_stats=True)), 1, 1),
    "positions": (lambda: sequence(nn.Conv2d(4, 6, 3), Scale(3, 1, add=True)), 0, 0),
    "activation": (lambda: sequence(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.BatchNorm2d(6)), 0, 0),
    "padding_between": (lambda: sequence(nn.BatchNorm2d(4), nn.ZeroPad2d(1), nn.Conv2d(4, 6, 3)), 0, 0),
    "twice": (Twice, 0, 0),
    "shared": (Shared, 0, 0),
    "shared_bias": (SharedBias, 2, 2),
    "single": (Single, 0, 0),
    "batch": (lambda: Own(False), 0, 0),
    "written": (lambda: Own(True), 6, 6),
}


KINDS = ("conv", "norm", "scale", "linear", "depthwise", "transposed", "shift", "norm", "number", "relu", "tap")


class Chain(nn.Module):
    """Layers, norms, scales and whatever else behind each other, of `KINDS`; `tap` makes an output of what is there."""

    def __init__(self, kinds: Sequence[str], seed: int) -> None:
        super().__init__()
        self.kinds, self.steps, channels = kinds, nn.ModuleList(), 4
        for number, kind in enumerate(kinds):
            wide = {"depthwise": 2 * channels}.get(kind, (4, 6, 8)[(seed + number) % 3])
            self.steps.append(step_of(kind, channels, wide, seed + number, 1 + (seed >> number) % 2))
            if kind in ("conv", "depthwise", "transposed", "linear"):
                channels = wide
        randomised(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        taps = []
        for kind, step in zip(self.kinds, self.steps, strict=True):
            x = step(x)
            if kind == "tap":
                taps.append(x.sigmoid())
        return (*taps, x.tanh())


def step_of(kind: str, channels: int, wide: int, number: int, groups: int) -> nn.Module:
    """A part of a chain; whether layers have a bias and padding, and norms a shift, depends on the number."""
    bias, padding = number % 2 > 0, number // 2 % 2
    made: dict[str, Callable[[], nn.Module]] = {
        "conv": lambda: nn.Conv2d(channels, wide, 3, padding=padding, groups=groups, bias=bias),
        "depthwise": lambda: nn.Conv2d(channels, wide, 1, groups=channels, bias=bias),
        "transposed": lambda: nn.ConvTranspose2d(channels, wide, 2, groups=groups, bias=bias),
        "linear": lambda: Turned(nn.Linear(channels, wide, bias)),
        "norm": lambda: nn.BatchNorm2d(channels, affine=bias),
        "scale": lambda: Scale(channels, 1, 1),
        "shift": lambda: Scale(1, channels, 1, 1, add=True),
        "number": Scale,
        "relu": nn.ReLU,
        "tap": nn.Identity,
    }
    return made[kind]()
