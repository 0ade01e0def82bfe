"""Hugging Face's networks on sound, and those on images and text together."""

from typing import Any

from tests.observation import Inputs, MakeInputs
from tests.zoo.hugging_face_building import (
    IMAGE,
    LAYERS,
    PATCH,
    VOCABULARY,
    hugging_face,
    image_and_text,
    numbers,
    text,
    tokens,
    wave,
)
from tests.zoo.model import ZooModel


def _sound(kind: str, head: str = "ForAudioClassification", inputs: MakeInputs = wave, **config: Any) -> ZooModel:
    return hugging_face(kind, head, inputs, **_SPEECH | config)


def _spectrum(batch: int, seed: int) -> Inputs:
    """The loudness of 16 frequencies over 24 moments."""
    return {"input_values": numbers(seed, batch, 24, 16)}


def _features(batch: int, seed: int) -> Inputs:
    """8 features over 16 moments."""
    return {"input_features": numbers(seed, batch, 16, 8)}


def _spoken(moments: int, features: int, transposed: bool = False) -> MakeInputs:
    """Sound and the beginnings of what is said."""
    shape = (features, moments) if transposed else (moments, features)

    def make(batch: int, seed: int) -> Inputs:
        return {"input_features": numbers(seed, batch, *shape), "decoder_input_ids": tokens(batch, seed, 6)}

    return make


_SPEECH: dict[str, Any] = {
    "conv_dim": [16, 16],
    "conv_kernel": [10, 3],
    "conv_stride": [5, 2],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 16,
    "apply_spec_augment": False,
}
_TEXT: dict[str, Any] = {
    **LAYERS,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_IMAGE: dict[str, Any] = {**LAYERS, "image_size": IMAGE, "patch_size": PATCH}
_BOTH: dict[str, Any] = {"text_config": dict(_TEXT), "vision_config": dict(_IMAGE)}

SOUND = (
    _sound("wav2vec2"),
    _sound("wav2vec2", "ForCTC", variant="ctc"),
    _sound("hubert"),
    _sound("wavlm"),
    _sound("unispeech"),
    _sound("unispeech-sat"),
    _sound("data2vec-audio"),
    _sound("sew", squeeze_factor=2),
    _sound("wav2vec2-conformer"),
    _sound("wav2vec2-bert", inputs=_features, feature_projection_input_dim=8, position_embeddings_type="relative_key"),
    hugging_face(
        "whisper",
        "ForSpeechSeq2Seq",
        _spoken(16, 8, transposed=True),
        outputs=("logits",),
        num_mel_bins=8,
        max_source_positions=8,
        max_target_positions=16,
    ),
    hugging_face(
        "speech_to_text",
        "ForSpeechSeq2Seq",
        _spoken(32, 8),
        outputs=("logits",),
        input_feat_per_channel=8,
        input_channels=1,
        num_conv_layers=2,
        conv_channels=16,
        max_source_positions=32,
        max_target_positions=16,
    ),
    hugging_face(
        "audio-spectrogram-transformer",
        "ForAudioClassification",
        _spectrum,
        patch_size=8,
        max_length=24,
        num_mel_bins=16,
        frequency_stride=4,
        time_stride=4,
    ),
)


def _pairs(kind: str, head: str = "ForZeroShotImageClassification", **config: Any) -> ZooModel:
    return hugging_face(kind, head, image_and_text, outputs=("logits_per_image",), **_BOTH | config)


TOGETHER = (
    _pairs("clip", projection_dim=16),
    _pairs("siglip"),
    _pairs("chinese_clip", projection_dim=16),
    _pairs("altclip", projection_dim=16, text_config={**_TEXT, "project_dim": 32}),
    _pairs("blip", "", projection_dim=16),
    hugging_face(
        "vilt", "ForVisualQuestionAnswering", image_and_text, image_size=IMAGE, patch_size=PATCH, max_image_length=-1
    ),
    hugging_face(
        "llava",
        "ForImageTextToText",
        text,
        text_config={"model_type": "llama", **_TEXT},
        vision_config={"model_type": "clip_vision_model", **_IMAGE},
    ),
    hugging_face(
        "git",
        "ForCausalLM",
        image_and_text,
        note="images are repeated by the quotient of two batch sizes, which is any number to the analysis",
        vision_config=dict(_IMAGE),
    ),
)

MODELS: tuple[ZooModel, ...] = (*SOUND, *TOGETHER)
