"""Hugging Face model types: text, images, sound, and several of them together."""

from tests.zoo import hugging_face_decoders, hugging_face_sound, hugging_face_text, hugging_face_vision
from tests.zoo.model import ZooModel

MODELS: tuple[ZooModel, ...] = (
    *hugging_face_text.MODELS,
    *hugging_face_decoders.MODELS,
    *hugging_face_vision.MODELS,
    *hugging_face_sound.MODELS,
)
