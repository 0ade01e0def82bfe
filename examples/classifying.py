"""Learning to tell images apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from examples.augmentation import normalized
from examples.images import Images

Batch = tuple[Tensor, Tensor]

#: So many images are augmented at once: enough to be quick, not enough to fill the memory.
_AT_ONCE = 4096


class Classifying:
    """A task for `examples.learning.train`; a score is the share of test images that are read right, in percent.

    Args:
        augment: Takes uint8 images and a generator, and returns normalised floats.
    """

    def __init__(
        self, images: Images, batch: int, augment: Callable[[Tensor, Generator], Tensor], device: str = "cpu"
    ) -> None:
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
        """Cross entropy."""
        images, labels = batch
        return functional.cross_entropy(model(images), labels)

    @torch.no_grad()
    def score(self, model: nn.Module) -> float:
        """The accuracy of an evaluating model, in percent; it stays in evaluation."""
        model.eval()
        right = 0
        for images, labels in zip(self._images.test.split(512), self._images.test_labels.split(512), strict=True):
            x = normalized(images).to(self._device, memory_format=torch.channels_last)
            right += int((model(x).argmax(1).cpu() == labels).sum())
        return 100 * right / len(self._images.test_labels)
