"""AutoAugment's policy for CIFAR-10 (Cubuk et al. 2018) on whole batches.

The policy's table and the operations are torchvision's; its own class draws one sub-policy for all that it is given.
Here each image has its own: images that drew the same go through the operations together.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

#: The strength of an operation at each of the policy's ten magnitudes: from, to.
RANGES = {
    "ShearX": (0.0, 0.3),
    "ShearY": (0.0, 0.3),
    "TranslateX": (0.0, 150 / 331),  # of the width
    "TranslateY": (0.0, 150 / 331),
    "Rotate": (0.0, 30.0),
    "Brightness": (0.0, 0.9),
    "Color": (0.0, 0.9),
    "Contrast": (0.0, 0.9),
    "Sharpness": (0.0, 0.9),
    "Posterize": (8.0, 4.0),
    "Solarize": (255.0, 0.0),
    "AutoContrast": (0.0, 0.0),
    "Equalize": (0.0, 0.0),
    "Invert": (0.0, 0.0),
}

#: The operations that go either way, each by a coin.
SIGNED = {name for name, (least, most) in RANGES.items() if least < most}


def autoaugmented(images: Tensor, generator: Generator) -> Tensor:
    """Returns the images, uint8 (count, 3, height, width), each after the two operations of a sub-policy of its own."""
    from torchvision.transforms import AutoAugment, AutoAugmentPolicy

    policies = AutoAugment(AutoAugmentPolicy.CIFAR10).policies
    drawn = torch.randint(len(policies), (len(images),), generator=generator)
    chance = torch.rand(2, len(images), generator=generator)
    sign = torch.rand(2, len(images), generator=generator) < 0.5
    result = images.clone()
    for number, policy in enumerate(policies):
        for place, (name, probability, magnitude) in enumerate(policy):
            applied = (drawn == number) & (chance[place] <= probability)
            ways = (applied & sign[place], applied & ~sign[place]) if name in SIGNED else (applied,)
            for way, direction in zip(ways, (-1.0, 1.0), strict=False):
                if way.any():
                    result[way] = operation(name, _strength(name, magnitude) * direction)(result[way])
    return result


def _strength(name: str, magnitude: int | None) -> float:
    least, most = RANGES[name]
    return least + (most - least) * (magnitude or 0) / 9


def operation(name: str, by: float) -> Callable[[Tensor], Tensor]:
    """One operation of the policy on uint8 images, with a strength from its range in `RANGES`, or minus that."""
    from torchvision.transforms import functional as do

    def affine(x: Tensor, right: float = 0, down: float = 0, shear: tuple[float, float] = (0, 0)) -> Tensor:
        move = [round(right * x.shape[-1]), round(down * x.shape[-2])]
        degrees = [math.degrees(math.atan(each)) for each in shear]
        # A shear moves what is off the centre of rotation: the corner, so that one row or column stays in place.
        center = [0, 0] if any(shear) else None
        result: Tensor = do.affine(x, 0.0, move, 1.0, degrees, center=center)
        return result

    operations: dict[str, Callable[[Tensor], Tensor]] = {
        "ShearX": lambda x: affine(x, shear=(by, 0)),
        "ShearY": lambda x: affine(x, shear=(0, by)),
        "TranslateX": lambda x: affine(x, right=by),
        "TranslateY": lambda x: affine(x, down=by),
        "Rotate": lambda x: do.rotate(x, by),
        "Brightness": lambda x: do.adjust_brightness(x, 1 + by),
        "Color": lambda x: do.adjust_saturation(x, 1 + by),
        "Contrast": lambda x: do.adjust_contrast(x, 1 + by),
        "Sharpness": lambda x: do.adjust_sharpness(x, 1 + by),
        "Posterize": lambda x: do.posterize(x, round(abs(by))),
        "Solarize": lambda x: do.solarize(x, abs(by)),
        "AutoContrast": do.autocontrast,
        "Equalize": do.equalize,
        "Invert": do.invert,
    }
    return operations[name]
