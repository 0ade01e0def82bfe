"""All listed architectures, by source. A list whose package is absent says so and does not stop the others."""

import importlib
from collections.abc import Sequence

from tests import torchvision_shim
from tests.zoo.model import ZooModel

LISTS = {
    "torchvision": "tests.zoo.torchvision_models",
    "timm": "tests.zoo.timm_models",
    "hf": "tests.zoo.hugging_face",
    "own": "tests.zoo.own_models",
}
"""The module that lists the models of each source as MODELS."""


def models(source: str) -> tuple[ZooModel, ...]:
    """Return the models of a source. ModuleNotFoundError where the package that they come from is absent."""
    torchvision_shim.prepare()
    found: tuple[ZooModel, ...] = importlib.import_module(LISTS[source]).MODELS
    return found


def find(name: str) -> ZooModel:
    """Return the model of a name. KeyError where there is none."""
    return {model.name: model for model in models(name.partition("/")[0])}[name]


def select(words: Sequence[str], found: Sequence[ZooModel]) -> list[ZooModel]:
    """Return the models that the words name: by name, source, or the beginning of either; all where there is no word.

    Raises:
        ValueError: a word names nothing.
    """
    chosen: dict[str, ZooModel] = {}
    for word in words or [""]:
        hits = [m for m in found if m.name.startswith(word) or m.name.partition("/")[2].startswith(word)]
        exact = [m for m in hits if word in (m.name, m.name.partition("/")[2])]
        if not hits:
            raise ValueError(f"no model and no source begins with {word!r}")
        chosen |= {model.name: model for model in exact or hits}
    return list(chosen.values())
