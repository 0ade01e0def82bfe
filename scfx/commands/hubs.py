"""`torchvision:`, `timm:` and `hf:`: models by name, with random weights. Nothing is ever downloaded."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import nn

from scfx.commands.shapes import InputShape
from scfx.commands.torchvision_shim import prepare
from scfx.commands.usage import UsageError, missing, unknown

#: What makes a model, and what it is fed if the user doesn't say.
Entry = tuple[Callable[[], nn.Module], Callable[[nn.Module], tuple[InputShape, ...]]]

#: Arguments of torchvision's functions that would fetch weights, or draw them in a way that takes long.
_WITHOUT_WEIGHTS = {"weights": None, "weights_backbone": None, "init_weights": False}

#: How long a sentence is, how many frames a film has, and how many numbers a recording.
_TOKENS, _FRAMES, _SAMPLES = 16, 16, 16000


def torchvision_model(name: str) -> Entry:
    """One of torchvision's models.

    Raises:
        UsageError: torchvision is not installed or has no such model.
    """
    models = _library("torchvision.models")
    if name not in models.list_models():
        raise unknown("model", name, models.list_models(), "torchvision")
    builder = models.get_model_builder(name)
    known = inspect.signature(builder).parameters
    options = {option: value for option, value in _WITHOUT_WEIGHTS.items() if option in known}

    def inputs(_: nn.Module) -> tuple[InputShape, ...]:
        """Images, or films, of the size that weights for this model are told to expect."""
        transforms = next(iter(models.get_model_weights(name))).transforms
        size = getattr(transforms, "keywords", {}).get("crop_size", 224)
        height, width = size if isinstance(size, (tuple, list)) else (size, size)
        film = (_FRAMES,) if ".video" in builder.__module__ else ()
        return (InputShape((2, 3, *film, height, width)),)

    return lambda: builder(**options), inputs


def timm_model(name: str) -> Entry:
    """One of timm's models.

    Raises:
        UsageError: timm is not installed or has no such model.
    """
    timm = _library("timm")
    if not timm.is_model(name):  # names such as hf-hub:... would be looked up elsewhere
        raise unknown("model", name, timm.list_models(), "timm")

    def inputs(model: nn.Module) -> tuple[InputShape, ...]:
        config: Any = model.pretrained_cfg
        return (InputShape((2, *config["input_size"])),)

    return lambda: timm.create_model(name, pretrained=False), inputs


def hugging_face_model(name: str) -> Entry:
    """The model of one of transformers' types, from its default configuration.

    Raises:
        UsageError: transformers is not installed or has no such type.
    """
    transformers = _library("transformers")
    known = importlib.import_module("transformers.models.auto.modeling_auto").MODEL_MAPPING_NAMES
    if name not in known:
        raise unknown("model type", name, known, "transformers")
    transformers.logging.set_verbosity_error()

    def build() -> nn.Module:
        config = transformers.AutoConfig.for_model(name)
        config.use_cache = False
        if getattr(config, "use_pretrained_backbone", False):
            config.use_pretrained_backbone = False
        model: nn.Module = transformers.AutoModel.from_config(config)
        return model

    return build, lambda model: _hugging_face_inputs(name, model)


def _hugging_face_inputs(name: str, model: Any) -> tuple[InputShape, ...]:
    config = model.config
    if model.main_input_name == "input_ids":
        vocabulary = getattr(config.get_text_config(), "vocab_size", 2)
        names = ["input_ids", "decoder_input_ids"] if config.is_encoder_decoder else ["input_ids"]
        return tuple(InputShape((2, _TOKENS), torch.int64, each, vocabulary) for each in names)
    if model.main_input_name == "pixel_values":
        size = getattr(config, "image_size", 224)
        height, width = size if isinstance(size, (tuple, list)) else (size, size)
        return (InputShape((2, getattr(config, "num_channels", 3), height, width), name="pixel_values"),)
    if model.main_input_name == "input_values":
        return (InputShape((2, _SAMPLES), name="input_values"),)
    wanted = model.main_input_name
    raise UsageError(f"what hf:{name} is fed is not known here: give its shape, as in --input {wanted}=1x16x80")


#: Every hub by its prefix.
HUBS: dict[str, Callable[[str], Entry]] = {
    "torchvision": torchvision_model, "timm": timm_model, "hf": hugging_face_model
}  # fmt: skip


def _library(name: str) -> ModuleType:
    """Imports a library that brings models, told to stay off the network.

    Raises:
        UsageError: It is not installed, or doesn't import.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    package = name.partition(".")[0]
    try:
        prepare()
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == package:
            raise missing(package, "zoo") from error
        raise UsageError(f"{package} does not import: {error}") from error
    except Exception as error:  # builds that do not belong together fail in any way
        raise UsageError(f"{package} does not import: {error}") from error
