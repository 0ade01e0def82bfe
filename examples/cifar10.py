"""CIFAR-10: a pretrained ResNet-20 compressed with fine-tuning, or David Page's ResNet-9 by the paper's recipe.

    python -m examples.cifar10 resnet20 --dense
    python -m examples.cifar10 resnet20 --gamma 0.3 --until 1.6
    python -m examples.cifar10 resnet20 --dense --epochs 5 --save dense.safetensors
    python -m examples.cifar10 resnet20 --checkpoint dense.safetensors --teacher dense.safetensors --settled-rate 0.1
    python -m examples.cifar10 resnet9 --width 16 --gamma 0.015

Each call is one run and adds a line to results/cifar10.jsonl.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Generator, Tensor, nn

from examples import augmentation
from examples.autoaugment import autoaugmented
from examples.classifying import options_for, run_on_images
from examples.distilling import Teacher
from examples.learning import Recipe
from examples.resnet9 import ResNet9
from examples.resnet20 import OptionAResNet

#: The paper's, but for the epochs, which are 850 there.
PAPER = Recipe(epochs=60, gamma=0.015)

#: For a network that is trained already, and few epochs: depths start at 4 bits, and a step of a depth or a scale is a
#: tenth of the paper's at most, so that they don't move faster than weights that have settled can follow.
FINE_TUNING = Recipe(
    epochs=3, weight_decay=1e-4, quantizer_lr=0.05, quantizer_eps=1e-4, gamma=0.3, until=1.6, start_bits=4.0
)


def light(images: Tensor, generator: Generator) -> Tensor:
    """He et al. 2015: pad, crop, flip."""
    cropped = augmentation.cropped(augmentation.padded(images), images.shape[-1], generator)
    return augmentation.normalized(augmentation.flipped(cropped, generator))


def strong(images: Tensor, generator: Generator) -> Tensor:
    """The paper's: pad, AutoAugment, flip, crop, erase, normalise."""
    policy = autoaugmented(augmentation.padded(images), generator)
    cropped = augmentation.cropped(augmentation.flipped(policy, generator), images.shape[-1], generator)
    return augmentation.normalized(augmentation.erased(cropped, generator))


def options_from(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line; the network decides the defaults of the recipe."""
    choice = argparse.ArgumentParser(add_help=False)
    choice.add_argument("network", nargs="?")
    known, _ = choice.parse_known_args(arguments)
    options = options_for(__doc__, FINE_TUNING if known.network == "resnet20" else PAPER)
    options.add_argument("network", choices=["resnet20", "resnet9"], help="ResNet-20 is always 16 channels wide")
    options.add_argument("--teacher", type=Path, help="weights of a ResNet-20 that is to be learned from, too")
    options.add_argument("--teacher-share", type=float, default=0.7, help="the part of the loss that compares with it")
    options.add_argument("--checkpoint", type=Path, help="weights of ResNet-20; else those in the folder with the data")
    return options.parse_args(arguments)


def network_from(options: argparse.Namespace) -> tuple[str, nn.Module]:
    """The network with its name; ResNet-20 with its trained weights, except in a smoke test."""
    torch.manual_seed(options.seed)
    if options.network == "resnet9":
        width = min(4, options.width) if options.smoke else options.width
        return f"ResNet-9, width {width}", ResNet9(width)
    model = OptionAResNet(depth=1 if options.smoke else 3)
    if options.smoke:
        return "ResNet-8", model
    checkpoint = options.checkpoint or (options.data and options.data / "pretrained/cifar-resnet20.safetensors")
    if checkpoint is None or not checkpoint.exists():
        raise SystemExit(f"--checkpoint: ResNet-20 starts from trained weights, and {checkpoint} is not there")
    model.load_state_dict(load_file(checkpoint))
    return "ResNet-20, fine-tuned" if options.checkpoint else "ResNet-20, pretrained", model


def teacher_from(options: argparse.Namespace) -> Teacher | None:
    """The network to learn from, if there is one.

    Raises:
        SystemExit: Its weights are missing, or it is for another network than ResNet-20.
    """
    if options.teacher is None:
        options.teacher_share = 0.0
        return None
    if options.network != "resnet20" or not options.teacher.exists():
        raise SystemExit(f"--teacher: only for resnet20, with a file of its weights; not {options.teacher}")
    network = OptionAResNet(depth=1 if options.smoke else 3)
    network.load_state_dict(load_file(options.teacher))
    network.to(options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    return Teacher(network.eval(), options.teacher_share)


def main(arguments: list[str] | None = None) -> None:
    """One run."""
    options = options_from(arguments)
    name, model = network_from(options)
    augment = light if options.network == "resnet20" else strong
    run_on_images("cifar10", name, model, augment, options, teacher_from(options))


if __name__ == "__main__":
    main()
