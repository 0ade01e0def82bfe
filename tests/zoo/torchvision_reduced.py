"""torchvision's convolutional families with few narrow blocks: what stands for them in `make test`."""

from collections.abc import Callable
from functools import partial

from torch import nn

from tests import torchvision_shim
from tests.zoo.inputs import images
from tests.zoo.model import ZooModel

torchvision_shim.prepare()

from torchvision import models  # noqa: E402  (needs the declarations above)
from torchvision.models.efficientnet import FusedMBConvConfig, MBConvConfig  # noqa: E402
from torchvision.models.inception import InceptionA  # noqa: E402
from torchvision.models.mobilenetv3 import InvertedResidualConfig  # noqa: E402
from torchvision.models.regnet import BlockParams  # noqa: E402
from torchvision.models.resnet import BasicBlock, Bottleneck  # noqa: E402

CLASSES = 5


def resnet(block: type[BasicBlock | Bottleneck], **options: int) -> nn.Module:
    """Return a ResNet of one block a stage: plain, or with bottlenecks, in groups as a ResNeXt."""
    model: nn.Module = models.ResNet(block, [1, 1, 1, 1], num_classes=CLASSES, **options)
    return model


def densenet() -> nn.Module:
    """Return a DenseNet of two blocks of two layers."""
    model: nn.Module = models.DenseNet(4, (2, 2), 8, num_classes=CLASSES)  # type: ignore[arg-type, unused-ignore]
    return model


def mobilenet_v2() -> nn.Module:
    """Return a MobileNet of the second version with four blocks."""
    settings = [[1, 8, 1, 1], [6, 16, 2, 2], [6, 24, 1, 2]]
    model: nn.Module = models.MobileNetV2(CLASSES, width_mult=0.5, inverted_residual_setting=settings)
    return model


def mobilenet_v3() -> nn.Module:
    """Return a MobileNet of the third version with three blocks, two of which are squeezed and excited."""
    settings = [
        InvertedResidualConfig(8, 3, 16, 8, True, "RE", 2, 1, 1.0),
        InvertedResidualConfig(8, 3, 24, 16, False, "RE", 2, 1, 1.0),
        InvertedResidualConfig(16, 5, 48, 16, True, "HS", 1, 1, 1.0),
    ]
    model: nn.Module = models.MobileNetV3(settings, 64, num_classes=CLASSES)
    return model


def efficientnet() -> nn.Module:
    """Return an EfficientNet with a fused block and three that are squeezed and excited."""
    settings = [FusedMBConvConfig(2, 3, 1, 8, 8, 1), MBConvConfig(4, 3, 2, 8, 16, 2), MBConvConfig(4, 5, 2, 16, 24, 1)]
    model: nn.Module = models.EfficientNet(settings, 0.2, num_classes=CLASSES, last_channel=48)
    return model


def regnet() -> nn.Module:
    """Return a RegNet of four stages with squeeze and excitation."""
    settings = BlockParams([1, 1, 1, 1], [8, 16, 16, 24], [8, 8, 8, 8], [1.0] * 4, [2, 2, 2, 2], 0.25)
    model: nn.Module = models.RegNet(settings, num_classes=CLASSES, stem_width=8)
    return model


def shufflenet() -> nn.Module:
    """Return a ShuffleNet with a unit that shuffles at least once in each stage."""
    model: nn.Module = models.ShuffleNetV2([2, 1, 1], [8, 16, 32, 64, 32], CLASSES)
    return model


def inception() -> nn.Module:
    """Return one of Inception's blocks, of four branches."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), InceptionA(16, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(232, CLASSES)
    )


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "resnet": partial(resnet, BasicBlock),
    "resnext": partial(resnet, Bottleneck, groups=4, width_per_group=16),
    "densenet": densenet,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "efficientnet": efficientnet,
    "regnet": regnet,
    "shufflenet": shufflenet,
    "inception": inception,
}

MODELS: tuple[ZooModel, ...] = tuple(
    ZooModel(f"torchvision/{name}_reduced", build, images(32)) for name, build in BUILDERS.items()
)
