"""How fast compact networks answer: `python -m benchmarks.inference [name ...] [--write FILE]`.

Each network loses a good part of its channels, at random as training does it, and is finalized. Beside it stands what
somebody would write by hand, with the same widths and the same weights: as it is, in evaluation, and with its batch
norms folded by torch.nn.utils.fusion. Every figure is a ratio within one run, of processor time on one thread; what is
compared takes turns, and the median of the ratios counts. With `--write docs/speed.md` the table goes into that file.
"""

from __future__ import annotations

import argparse
import copy
import random
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import scfx
from benchmarks.training import machine, put, ratio, table, turns

#: How often each thing is timed.
TIMES = 41

#: Which share of the channels of each axis goes.
GONE = 0.4

#: What stands before and after the table in the file it is written to.
MARK = "<!-- inference -->\n"

#: The number of channels behind each convolution that is free to choose, by its name; 0 for what it would be.
Widths = Mapping[str, int]


class Block(nn.Module):
    """A residual block whose two convolutions may differ in width."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, hidden, 3, stride, 1, bias=False), nn.BatchNorm2d(hidden)
        self.conv2, self.bn2 = nn.Conv2d(hidden, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.shortcut(x)
        result: Tensor = self.relu(y)
        return result


class Inverted(nn.Module):
    """Widened, filtered channel by channel, narrowed, as in mobile networks."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden)
        self.conv2, self.bn2 = (
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
        )
        self.conv3, self.bn3 = nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.act, self.added = nn.Hardswish(inplace=True), inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.act(self.bn2(self.conv2(y)))))
        result: Tensor = x + y if self.added else y
        return result


def _resnet20(widths: Widths) -> nn.Module:
    stem = widths.get("0.weight", 16)
    layers: list[nn.Module] = [
        nn.Conv2d(3, stem, 3, padding=1, bias=False),
        nn.BatchNorm2d(stem),
        nn.ReLU(inplace=True),
    ]
    for number, width in enumerate([16] * 3 + [32] * 3 + [64] * 3):
        stride = 2 if number in (3, 6) else 1
        hidden = widths.get(f"{3 + number}.conv1.weight", width)
        outputs = widths.get(f"{3 + number}.conv2.weight", width)
        layers.append(Block(stem, hidden, outputs, stride))
        stem = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(stem, 10))


def _vgg(widths: Widths) -> nn.Module:
    layers: list[nn.Module] = []
    inputs = 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256):
        if not width:
            layers.append(nn.MaxPool2d(2))
            continue
        outputs = widths.get(f"{len(layers)}.weight", width)
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def _mobile(widths: Widths) -> nn.Module:
    inputs = widths.get("0.weight", 16)
    layers: list[nn.Module] = [
        nn.Conv2d(3, inputs, 3, 2, 1, bias=False),
        nn.BatchNorm2d(inputs),
        nn.Hardswish(inplace=True),
    ]
    for number, width in enumerate([16, 24, 24, 40, 40, 40, 80, 80]):
        hidden = widths.get(f"{3 + number}.conv1.weight", 4 * width)
        outputs = widths.get(f"{3 + number}.conv3.weight", width)
        layers.append(Inverted(inputs, hidden, outputs, 2 if number in (1, 3, 6) else 1))
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


MODELS: dict[str, tuple[str, Callable[[Widths], nn.Module], tuple[int, ...]]] = {
    "resnet20": ("ResNet-20, 16 images of 32 x 32", _resnet20, (16, 3, 32, 32)),
    "resnet20-one": ("ResNet-20, 1 image of 32 x 32", _resnet20, (1, 3, 32, 32)),
    "vgg": ("6 convolutions, 8 images of 32 x 32", _vgg, (8, 3, 32, 32)),
    "mobile": ("inverted residuals, 4 images of 96 x 96", _mobile, (4, 3, 96, 96)),
}


def compact(build: Callable[[Widths], nn.Module], inputs: Tensor) -> tuple[scfx.CompressedModule, nn.Module]:
    """A network that has lost channels, and the one written by hand that computes the same."""
    model = build({})
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5)):
                nn.init.uniform_(tensor, low, high)
            assert module.running_var is not None
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    net = scfx.compress(model, inputs[:2], dynamic=False, quantize=False)
    choose = random.Random(0)
    state = net.state_dict(keep_vars=True)
    with torch.no_grad():
        for axis in net.channels.axes:
            if axis.pinned is None and axis.size >= 8:
                channels = choose.sample(range(axis.size), int(GONE * axis.size))
                for member in axis.members:
                    for index in (int(index) for channel in channels for index in member.indices(channel)):
                        if not member.name.endswith("running_var"):
                            state[member.name].select(member.dim, index).zero_()
    net.prune()
    whole = net.eval().finalize(fold=False)
    hand = build({name: len(weight) for name, weight in whole.named_parameters()})
    hand.load_state_dict(whole.state_dict(), strict=False)
    torch.testing.assert_close(hand.eval()(inputs), whole(inputs), rtol=1e-3, atol=1e-3)
    return net, hand


def folded(model: nn.Module) -> nn.Module:
    """A copy with each batch norm in the convolution that stands before it."""
    model = copy.deepcopy(model)
    for module in model.modules():
        names = list(module._modules)
        for first, second in pairwise(names):
            conv, norm = module._modules[first], module._modules[second]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, first, fuse_conv_bn_eval(conv, norm))
                setattr(module, second, nn.Identity())
    return model


@torch.inference_mode()
def measure(name: str) -> list[str]:
    """The figures of one network, as in `HEADINGS`."""
    title, build, shape = MODELS[name]
    torch.manual_seed(0)
    inputs = torch.randn(shape)
    with torch.inference_mode(False):
        net, hand = compact(build, inputs.clone())
        nets = [net.finalize(), hand, folded(hand), net.finalize(fold=False), build({}).eval()]
    repeat = max(1, 8 // shape[0])

    def call(network: nn.Module) -> None:
        for _ in range(repeat):
            network(inputs)

    small, plain, fused, unfolded, original = turns(*(partial(call, each) for each in nets), times=TIMES)
    left = sum(p.numel() for p in hand.parameters()) / sum(p.numel() for p in nets[-1].parameters())
    ratios = [
        ratio(one, other) for one, other in ((small, plain), (small, fused), (unfolded, plain), (small, original))
    ]
    return [title, f"{left:.0%}", *(f"{each:.2f}" for each in ratios)]


HEADINGS = [
    "",
    "parameters left",
    "`finalize()` / written by hand",
    "`finalize()` / by hand, norms folded",
    "`finalize(fold=False)` / by hand",
    "`finalize()` / the original",
]


def main() -> None:
    """Print the table, or write it between the marks of a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*MODELS, []], metavar="name", help=", ".join(MODELS))
    parser.add_argument("--write", type=Path, help="the Markdown file whose table is replaced")
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = f"{table(HEADINGS, [measure(name) for name in options.names or MODELS])}\n{machine()}\n"
    print(text)
    if options.write:
        put(text, options.write, MARK)


if __name__ == "__main__":
    main()
