"""What people write themselves."""

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from tests.option_a import OptionAResNet
from tests.zoo.inputs import images
from tests.zoo.model import ZooModel

CHECKPOINT = Path(__file__).parents[2] / "../shared/data/pretrained/cifar-resnet20.safetensors"
"""A trained CIFAR ResNet-20, see `OptionAResNet`; its random weights stand in where it is absent."""


def option_a_resnet20() -> nn.Module:
    """Return the CIFAR ResNet-20, with its trained weights where they are."""
    model = OptionAResNet()
    if CHECKPOINT.exists():
        model.load_state_dict(load_file(CHECKPOINT), strict=False)
    return model


MODELS: tuple[ZooModel, ...] = (ZooModel("own/resnet20_option_a", option_a_resnet20, images(32), quick=True),)
