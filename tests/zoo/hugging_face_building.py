"""How Hugging Face model types are built small from their configurations: no weights, nothing downloaded."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tests import torchvision_shim
from tests.observation import Inputs, MakeInputs
from tests.zoo.model import ZooModel

torchvision_shim.prepare()

import transformers  # noqa: E402  (needs the declarations above)

VOCABULARY, LENGTH, IMAGE, PATCH, LABELS = 99, 8, 32, 8, 5

SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "n_words": VOCABULARY,
    "max_position_embeddings": 64,
    "n_positions": 64,
    "max_seq_len": 64,
    "type_vocab_size": 2,
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads", "attention_heads"), 4),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim", "hidden_dim"), 64),
}
"""What most configurations call their sizes. One that lacks a field is not given it."""

SPECIAL: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "num_labels": LABELS}
"""The tokens with a meaning are below those that inputs are drawn from."""

LAYERS: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64
}  # fmt: skip
"""The sizes of a part of a model that has several parts, where none are filled in."""


class Part(nn.Module):
    """A model of which only some outputs matter: an encoder's last hidden state would keep the encoder's trunk."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        made = self.model(**inputs)
        return tuple(made[name] for name in self.names)


def configuration(kind: str, **given: Any) -> Any:
    """Return a small configuration without caches; what is `given` goes before the usual small sizes."""
    usual = transformers.AutoConfig.for_model(kind)
    alias = {other: name for name, other in type(usual).attribute_map.items()} | type(usual).attribute_map
    known = {
        name: value
        for name, value in SIZES.items()
        if name in usual.to_dict() and name not in given and alias.get(name) not in given
    }
    config = transformers.AutoConfig.for_model(kind, **SPECIAL | known | given)
    for part in (
        config,
        *(value for value in vars(config).values() if isinstance(value, transformers.PretrainedConfig)),
    ):
        part.use_cache = False
    config.architectures = config.architectures or []
    for name, value in vars(config).items():
        if name.endswith("_drop_rate") and isinstance(value, list):  # numbers are zeroed wherever they are, lists not
            setattr(config, name, [0.0] * len(value))
    return config


def hugging_face(
    kind: str,
    head: str,
    inputs: MakeInputs,
    *,
    outputs: tuple[str, ...] = (),
    variant: str = "",
    note: str = "",
    options: Mapping[str, Any] = {},
    **config: Any,
) -> ZooModel:
    """List a model type.

    Args:
        kind: Its type, as configurations say it.
        head: What follows `AutoModel` in the name of the class that builds it. Heads end in logits: a model that
            returns its last hidden state keeps the whole trunk, rightly so.
        inputs: What it is fed.
        outputs: The outputs that matter, by name; none for all.
        variant: What its name says behind the type.
        note: See `ZooModel`.
        options: Further arguments for building.
        config: What the configuration is told beyond the usual small sizes.
    """

    def build() -> nn.Module:
        model: nn.Module = getattr(transformers, f"AutoModel{head}").from_config(
            configuration(kind, **config), **options
        )
        for module in model.modules():  # some ask for the gradient of their input, which fails where it has one anyway
            if hasattr(module, "_requires_grad"):
                vars(module)["_requires_grad"] = False
        return Part(model, outputs) if outputs else model

    return ZooModel(f"hf/{kind}{variant and '-' + variant}", build, inputs, note)


def tokens(batch: int, seed: int, length: int = LENGTH) -> Tensor:
    """Return token numbers, none of them one with a special meaning."""
    return torch.randint(5, VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(seed))


def numbers(seed: int, *shape: int) -> Tensor:
    """Return normally distributed numbers."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def text(batch: int, seed: int) -> Inputs:
    """Sentences."""
    return {"input_ids": tokens(batch, seed)}


def padded_text(batch: int, seed: int) -> Inputs:
    """Sentences of which the first is shorter than the others."""
    mask = torch.ones(batch, LENGTH, dtype=torch.int64)
    mask[0, -2:] = 0
    return {"input_ids": tokens(batch, seed), "attention_mask": mask}


def two_texts(batch: int, seed: int) -> Inputs:
    """Sentences and the beginnings of their translations."""
    return {"input_ids": tokens(batch, seed), "decoder_input_ids": tokens(batch, seed + 1, 6)}


def two_padded_texts(batch: int, seed: int) -> Inputs:
    """Sentences of which the first is shorter than the others, and the beginnings of their translations."""
    return {**padded_text(batch, seed), "decoder_input_ids": tokens(batch, seed + 1, 6)}  # type: ignore[dict-item]


def image(batch: int, seed: int) -> Inputs:
    """Images."""
    return {"pixel_values": numbers(seed, batch, 3, IMAGE, IMAGE)}


def image_and_text(batch: int, seed: int) -> Inputs:
    """Images and sentences."""
    return {"input_ids": tokens(batch, seed), **image(batch, seed)}  # type: ignore[dict-item]


def wave(batch: int, seed: int) -> Inputs:
    """Sound, sampled."""
    return {"input_values": numbers(seed, batch, 400)}
