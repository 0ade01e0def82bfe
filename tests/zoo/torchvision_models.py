"""torchvision's models: classification, segmentation, video, optical flow, and what detection networks are made of."""

from tests.zoo import (
    torchvision_convolutional,
    torchvision_dense,
    torchvision_reduced,
    torchvision_transformers,
    torchvision_video,
)
from tests.zoo.model import ZooModel

MODELS: tuple[ZooModel, ...] = (
    *torchvision_convolutional.MODELS,
    *torchvision_reduced.MODELS,
    *torchvision_transformers.MODELS,
    *torchvision_dense.MODELS,
    *torchvision_video.MODELS,
)
