"""How timm's families are made small: few blocks, and few channels where the constructor allows it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import timm
from timm.models import byoanet, byobnet, mobilevit
from torch import nn

from tests.zoo.inputs import images
from tests.zoo.model import ZooModel

CLASSES = 5


def listed(name: str, image: int = 32, *, note: str = "", **options: Any) -> ZooModel:
    """List a model by its name in timm; `options` go to its constructor."""
    return ZooModel(
        f"timm/{name}",
        lambda: timm.create_model(name, pretrained=False, num_classes=CLASSES, **options),
        images(image),
        note,
    )


def byob(name: str, image: int = 32, narrow: int = 4, **options: Any) -> ZooModel:
    """List a network of timm's toolkit of blocks: one of each kind in each stage, `narrow` times thinner."""

    def thin(block: Any) -> Any:
        if isinstance(block, (tuple, list)):
            return tuple({part.type: thin(part) for part in block}.values())
        return replace(block, d=1, c=block.c // narrow)

    def build() -> nn.Module:
        cfg = {**byobnet.model_cfgs, **byoanet.model_cfgs, **mobilevit.model_cfgs}[name]
        size = {"img_size": image} if cfg.fixed_input_size else {}
        thinner = {"blocks": tuple(map(thin, cfg.blocks)), "num_features": min(cfg.num_features, 48)}
        model: nn.Module = byobnet.ByobNet(cfg, num_classes=CLASSES, **{**thinner, **size, **options})
        return model

    return ZooModel(f"timm/{name}", build, images(image))


def built(name: str, make: Callable[..., nn.Module], image: int = 32, **options: Any) -> ZooModel:
    """List a model whose entry in timm's registry fixes what has to be smaller here, by what the entry calls."""
    return ZooModel(f"timm/{name}", lambda: make(num_classes=CLASSES, **options), images(image))


def effnet(name: str, make: Callable[..., nn.Module], image: int = 32, **options: Any) -> ZooModel:
    """List a model that timm generates from a table of stages, by the function that holds the table."""
    return built(name, partial(make, name), image, **options)


#: Four stages that get wider.
FOUR: dict[str, Any] = {"depths": (1, 1, 1, 1), "dims": (16, 16, 32, 32)}

#: One block in each of four stages.
ONE_EACH: dict[str, Any] = {"layers": (1, 1, 1, 1)}
