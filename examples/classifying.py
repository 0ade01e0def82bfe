"""Learning to tell images apart: the task, its options, and a run of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from examples.augmentation import normalized
from examples.distilling import Teacher
from examples.images import Images, load
from examples.learning import Recipe
from examples.records import Record
from examples.running import Subject, parser, recipe_from, run

Batch = tuple[Tensor, Tensor]
Augment = Callable[[Tensor, Generator], Tensor]

#: So many images are augmented at once: enough to be quick, not enough to fill the memory.
_AT_ONCE = 4096


class Classifying:
    """A task for `examples.learning.train`; a score is the share of test images that are read right, in percent.

    Args:
        augment: Takes uint8 images and a generator, and returns normalised floats.
        teacher: A network that is learned from, too.
    """

    def __init__(
        self, images: Images, batch: int, augment: Augment, device: str = "cpu", teacher: Teacher | None = None
    ) -> None:
        self._teacher = teacher
        self._images, self._batch, self._augment, self._device = images, batch, augment, device
        #: Batches in an epoch. A last one that isn't full is left out.
        self.steps = len(images.labels) // batch

    def batches(self, generator: Generator) -> Iterator[Batch]:
        """Every training image once, in random order, each augmented in its own way."""
        order = torch.randperm(len(self._images.labels), generator=generator)[: self.steps * self._batch]
        for chosen in order.split(max(1, _AT_ONCE // self._batch) * self._batch):
            images = self._augment(self._images.train[chosen], generator)
            labels = self._images.labels[chosen]
            for x, y in zip(images.split(self._batch), labels.split(self._batch), strict=True):
                yield x.to(self._device, memory_format=torch.channels_last), y.to(self._device)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross entropy, or what a teacher makes of it."""
        images, labels = batch
        logits = model(images)
        if self._teacher is not None:
            return self._teacher.loss(images, logits, labels)
        return functional.cross_entropy(logits, labels)

    @torch.no_grad()
    def score(self, model: nn.Module) -> float:
        """The accuracy of an evaluating model, in percent; it stays in evaluation."""
        model.eval()
        right = 0
        for images, labels in zip(self._images.test.split(512), self._images.test_labels.split(512), strict=True):
            x = normalized(images).to(self._device, memory_format=torch.channels_last)
            right += int((model(x).argmax(1).cpu() == labels).sum())
        return 100 * right / len(self._images.test_labels)


def options_for(description: str | None, recipe: Recipe) -> argparse.ArgumentParser:
    """The options of all examples that read images, with the values of a recipe as defaults."""
    result = parser(description, recipe, batch=128)
    result.add_argument("--width", type=int, default=64, help="channels of the first layers")
    result.add_argument("--images", type=int, help="learn from so many images only")
    result.add_argument("--test-images", type=int, help="measure on so many images only")
    return result


def run_on_images(
    example: str,
    name: str,
    model: nn.Module,
    augment: Augment,
    options: argparse.Namespace,
    teacher: Teacher | None = None,
) -> Record:
    """One run of a network on CIFAR-10, or in a smoke test on made-up images.

    Raises:
        SystemExit: There is no data.
    """
    if options.smoke:
        options.data, options.batch_size = None, min(64, options.batch_size)
    elif options.data is None:
        raise SystemExit("--data: the folder with CIFAR-10 is needed, except with --smoke")
    images = load(options.data, options.images, options.test_images)
    model = model.to(options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    task = Classifying(images, options.batch_size, augment, options.device, teacher)
    inputs = next(task.batches(Generator().manual_seed(recipe_from(options).seed)))[0][:8]
    data = f"{images.source}, {len(images.labels):,} to learn from, {len(images.test_labels):,} to measure on"
    return run(Subject(example, name, model, inputs, task, task.steps, data, "accuracy, %"), options)
