"""A pre-activation ResNet-50 (He et al. 2016, "Identity Mappings") on CIFAR-10, as it is or compressing itself.

    python -m examples.resnet50v2 --device cuda --dense
    python -m examples.resnet50v2 --device cuda --gamma 0.015

Its stem is that for small images: one 3 x 3 convolution, no pooling. At full width an epoch takes a GPU; `--width` and
`--images` shorten a run. Each call is one run and adds a line to results/resnet50v2.jsonl.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from examples.cifar10 import PAPER, strong
from examples.classifying import options_for, run_on_images
from examples.images import CLASSES

#: Blocks in the four stages of ResNet-50.
DEPTHS = (3, 4, 6, 3)


class Bottleneck(nn.Module):
    """Norm and activation come before each of the three convolutions; the trunk itself is never normalised.

    Args:
        inputs: Channels of the trunk in front.
        width: Channels inside; the trunk behind has four times as many.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.norm1, self.norm2, self.norm3 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.reduce = nn.Conv2d(inputs, width, 1, bias=False)
        self.middle = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.expand = nn.Conv2d(width, outputs, 1, bias=False)
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) -> (batch, 4 * width, height / stride, width / stride)."""
        first = torch.relu(self.norm1(x))
        inside = torch.relu(self.norm2(self.reduce(first)))
        result: Tensor = self.expand(torch.relu(self.norm3(self.middle(inside))))
        return result + (x if self.shortcut is None else self.shortcut(first))


class ResNet50V2(nn.Module):
    """Args: width: channels inside the first stage, 64 in the paper; depths: blocks in each stage."""

    def __init__(self, width: int = 64, classes: int = CLASSES, depths: tuple[int, ...] = DEPTHS) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
        blocks, channels = [], width
        for stage, depth in enumerate(depths):
            inside = width * 2**stage
            for number in range(depth):
                blocks.append(Bottleneck(channels, inside, 2 if stage and number == 0 else 1))
                channels = 4 * inside
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, height, width) -> (batch, classes)."""
        x = torch.relu(self.norm(self.blocks(self.stem(x))))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


def main(arguments: list[str] | None = None) -> None:
    """One run."""
    options = options_for(__doc__, PAPER).parse_args(arguments)
    width, depths = (4, (1, 1)) if options.smoke else (options.width, DEPTHS)
    torch.manual_seed(options.seed)
    model = ResNet50V2(width, depths=depths)
    run_on_images("resnet50v2", f"ResNet-50 v2, width {width}", model, strong, options)


if __name__ == "__main__":
    main()
