"""CIFAR-10 as tensors, decoded once: torchvision's folder, JPEGs in npz files, or made up for a smoke test."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

#: Mean and standard deviation of each colour that the images are normalised with, those of the pretrained ResNet-20.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

CLASSES = 10


@dataclass(frozen=True)
class Images:
    """Images are uint8 (count, 3, 32, 32), labels int64 (count,).

    Attributes:
        train, labels: To learn from.
        test, test_labels: Never trained on.
        source: What they are, in words.
    """

    train: Tensor
    labels: Tensor
    test: Tensor
    test_labels: Tensor
    source: str


def load(folder: Path | None, train: int | None = None, test: int | None = None) -> Images:
    """CIFAR-10 from a folder; made-up images without one.

    Args:
        folder: A folder with `cifar10-jpeg-train.npz` and `cifar10-jpeg-test.npz`, or the root of torchvision's
            `CIFAR10`, which holds `cifar-10-batches-py`.
        train, test: How many images to take of each part, from its beginning; without, all.

    Raises:
        SystemExit: There is neither in the folder. The message says what was looked for.
    """
    if folder is None:
        return made_up(train or 256, test or 128)
    if (folder / "cifar10-jpeg-train.npz").exists():
        parts, source = [_jpegs(folder / f"cifar10-jpeg-{part}.npz", n) for part, n in _parts(train, test)], "JPEG"
    elif (folder / "cifar-10-batches-py").is_dir():
        parts, source = [_torchvision(folder, part, n) for part, n in _parts(train, test)], "lossless"
    else:
        raise SystemExit(
            f"--data: {folder} holds neither cifar10-jpeg-train.npz nor cifar-10-batches-py; torchvision's "
            "CIFAR10(folder, download=True) makes the latter"
        )
    (images, labels), (test_images, test_labels) = parts
    return Images(images, labels, test_images, test_labels, f"CIFAR-10 ({source})")


def made_up(train: int, test: int) -> Images:
    """Noise with a bright square whose place is the class: there is something to learn, and nothing to download."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(128, (train + test, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.randint(CLASSES, (train + test,), generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 16 * (label // 5) + 4 :, 6 * (label % 5) :][:, :6, :6] += 127
    return Images(images[:train], labels[:train], images[train:], labels[train:], "made-up images")


def _parts(train: int | None, test: int | None) -> tuple[tuple[str, int | None], tuple[str, int | None]]:
    return ("train", train), ("test", test)


def _jpegs(path: Path, count: int | None) -> tuple[Tensor, Tensor]:
    """The arrays are `jpeg`, all files end to end, their `offsets`, and `labels`."""
    from PIL import Image

    with np.load(path) as arrays:
        data, offsets, labels = arrays["jpeg"].tobytes(), arrays["offsets"], arrays["labels"][:count]
    pieces = itertools.pairwise(offsets[: len(labels) + 1])
    decoded = np.stack([np.asarray(Image.open(io.BytesIO(data[start:end]))) for start, end in pieces])
    return torch.from_numpy(decoded).permute(0, 3, 1, 2), torch.from_numpy(labels.astype(np.int64))


def _torchvision(folder: Path, part: str, count: int | None) -> tuple[Tensor, Tensor]:
    from torchvision.datasets import CIFAR10

    data = CIFAR10(str(folder), train=part == "train")
    return torch.from_numpy(data.data[:count]).permute(0, 3, 1, 2), torch.tensor(data.targets[:count])
