"""scikit-learn's bundled handwritten digits, split, and moved about a little for training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from scfx.demo.settings import DemoError


@dataclass(frozen=True)
class Digits:
    """Images are (count, 1, 8, 8) between 0 and 1, labels (count,) between 0 and 9.

    Attributes:
        images, labels: To learn from.
        held_out_images, held_out_labels: Never trained on.
    """

    images: Tensor
    labels: Tensor
    held_out_images: Tensor
    held_out_labels: Tensor

    def batches(self, size: int, generator: Generator) -> list[tuple[Tensor, Tensor]]:
        """One epoch: every training digit once, in random order and moved; a last batch that isn't full is left out.

        Raises:
            DemoError: There are fewer digits than that.
        """
        if size > len(self.labels):
            raise DemoError(
                f"--batch-size must be at most {len(self.labels)}, the number of training digits, not {size}"
            )
        chosen = torch.randperm(len(self.labels), generator=generator).split(size)
        return [(moved(self.images[c], generator), self.labels[c]) for c in chosen if len(c) == size]


def load(seed: int) -> Digits:
    """The 1797 digits, a third of them held out, every class split alike."""
    import sklearn.datasets
    import sklearn.model_selection

    digits = sklearn.datasets.load_digits()
    indices = range(len(digits.target))
    train, held_out = sklearn.model_selection.train_test_split(
        indices, test_size=1 / 3, stratify=digits.target, random_state=seed
    )
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    return Digits(images[train], labels[train], images[held_out], labels[held_out])


def moved(images: Tensor, generator: Generator) -> Tensor:
    """Each image turned by up to 11 degrees, scaled by up to a tenth and shifted by up to one pixel."""
    turn, grow, right, down = torch.rand(4, len(images), generator=generator) * 2 - 1
    scale = 1 + 0.1 * grow
    cos, sin = scale * torch.cos(0.2 * turn), scale * torch.sin(0.2 * turn)
    pixel = 2 / images.shape[-1]  # the image reaches from -1 to 1
    rows = [torch.stack([cos, -sin, pixel * right], dim=1), torch.stack([sin, cos, pixel * down], dim=1)]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)
