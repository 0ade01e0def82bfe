"""Augmentation of whole batches at once, each image in its own way.

All of it takes images as (count, channels, height, width).
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from examples.images import MEAN, STD


def padded(images: Tensor, by: int = 4) -> Tensor:
    """A black border on all sides."""
    return functional.pad(images, (by,) * 4)


def cropped(images: Tensor, size: int, generator: Generator) -> Tensor:
    """A square of `size` pixels from a random place of each image, in channels-last order."""
    count, _, height, width = images.shape
    top = torch.randint(height - size + 1, (count, 1), generator=generator)
    left = torch.randint(width - size + 1, (count, 1), generator=generator)
    rows, columns = top + torch.arange(size), left + torch.arange(size)
    cut = images[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2)


def flipped(images: Tensor, generator: Generator) -> Tensor:
    """Half of the images, left to right."""
    flip = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(flip, images.flip(3), images)


def erased(images: Tensor, generator: Generator, chance: float = 0.5) -> Tensor:
    """In some images a rectangle is set to zero: 2 to 33 % of the area, sides 1 : 3.3 at most (Zhong et al. 2017)."""
    count, _, height, width = images.shape
    draw, area, ratio, top, left = torch.rand(5, count, 1, generator=generator)
    area, ratio = (0.02 + 0.31 * area) * height * width, torch.exp((2 * ratio - 1) * torch.log(torch.tensor(3.3)))
    tall = torch.sqrt(area * ratio).clamp(max=height).round()
    wide = torch.sqrt(area / ratio).clamp(max=width).round()
    rows, columns = torch.arange(height), torch.arange(width)
    first_row, first_column = ((height - tall + 1) * top).floor(), ((width - wide + 1) * left).floor()
    inside = ((rows >= first_row) & (rows < first_row + tall))[:, None, :, None]
    inside = inside & ((columns >= first_column) & (columns < first_column + wide))[:, None, None, :]
    return images.masked_fill(inside & (draw < chance)[:, :, None, None], 0)


def normalized(images: Tensor) -> Tensor:
    """uint8 to float32 of mean 0 and standard deviation 1, about."""
    mean, std = (torch.tensor(each).view(-1, 1, 1) * 255 for each in (MEAN, STD))
    return (images.float() - mean) / std
