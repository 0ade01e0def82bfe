"""CIFAR-10: a pretrained ResNet-20 compressed with fine-tuning, or David Page's ResNet-9 by the paper's recipe.

    python -m examples.cifar10 resnet20 --dense
    python -m examples.cifar10 resnet20 --gamma 0.3 --until 1.6
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
from examples.classifying import Classifying
from examples.images import load
from examples.learning import Recipe
from examples.resnet9 import ResNet9
from examples.resnet20 import OptionAResNet
from examples.running import Subject, parser, recipe_from, run

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
    choice.add_argument("network", choices=["resnet20", "resnet9"])
    network = choice.parse_known_args(arguments)[0].network if arguments is None or arguments[:1] != ["-h"] else ""
    options = parser(__doc__, FINE_TUNING if network == "resnet20" else PAPER, batch=128)
    options.add_argument("network", choices=["resnet20", "resnet9"], help="which network")
    options.add_argument("--width", type=int, default=64, help="channels of the stem of ResNet-9")
    options.add_argument("--checkpoint", type=Path, help="weights of ResNet-20; else those in the folder with the data")
    options.add_argument("--images", type=int, help="learn from so many images only")
    options.add_argument("--test-images", type=int, help="measure on so many images only")
    return options.parse_args(arguments)


def network_from(options: argparse.Namespace) -> tuple[str, nn.Module]:
    """The network with its name; ResNet-20 with its trained weights, except in a smoke test."""
    torch.manual_seed(options.seed)
    if options.network == "resnet9":
        return f"ResNet-9, width {options.width}", ResNet9(options.width)
    model = OptionAResNet()
    if not options.smoke:
        checkpoint = options.checkpoint or options.data / "pretrained/cifar-resnet20.safetensors"
        model.load_state_dict(load_file(checkpoint))
    return "ResNet-20, pretrained", model


def main(arguments: list[str] | None = None) -> None:
    """One run."""
    options = options_from(arguments)
    if options.smoke:
        options.data, options.width, options.batch_size = None, min(4, options.width), min(64, options.batch_size)
    elif options.data is None:
        raise SystemExit("--data: the folder with CIFAR-10 is needed, except with --smoke")
    images = load(options.data, options.images, options.test_images)
    name, model = network_from(options)
    model = model.to(options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    augment = light if options.network == "resnet20" else strong
    task = Classifying(images, options.batch_size, augment, options.device)
    example = next(task.batches(Generator().manual_seed(recipe_from(options).seed)))[0][:8]
    data = f"{images.source}, {len(images.labels):,} to learn from, {len(images.test_labels):,} to measure on"
    run(Subject("cifar10", name, model, example, task, task.steps, data, "accuracy, %"), options)


if __name__ == "__main__":
    main()
