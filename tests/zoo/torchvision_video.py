"""torchvision's networks for video, with few frames, and fewer blocks and narrower layers where they can be chosen."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from tests import torchvision_shim
from tests.zoo.inputs import floats
from tests.zoo.model import ZooModel

torchvision_shim.prepare()

from torchvision.models.video import S3D, MViT, SwinTransformer3d, VideoResNet, resnet  # noqa: E402
from torchvision.models.video.mvit import MSBlockConfig  # noqa: E402

CLASSES = 5


def video_resnet(makers: Sequence[Any], stem: Any) -> Callable[[], nn.Module]:
    """Return what builds a video ResNet with one block a stage."""

    def build() -> nn.Module:
        model: nn.Module = VideoResNet(resnet.BasicBlock, list(makers), [1, 1, 1, 1], stem, num_classes=CLASSES)
        return model

    return build


def s3d() -> nn.Module:
    """Return S3D with a pooling that takes small frames: its own needs 224 by 224."""
    model: Any = S3D(num_classes=CLASSES)
    model.avgpool = nn.AdaptiveAvgPool3d(1)
    network: nn.Module = model
    return network


def mvit_v1() -> nn.Module:
    """Return a multiscale vision transformer of the first version with four blocks."""
    queries: list[list[int]] = [[], [3, 3, 3], [3, 3, 3], []]
    steps: list[list[int]] = [[], [1, 2, 2], [1, 2, 2], []]
    settings = [
        MSBlockConfig((1, 2, 4, 4)[i], (8, 16, 32, 32)[i], (16, 32, 32, 32)[i], queries[i], [3, 3, 3], steps[i],
                      [1, 4 >> min(i, 2), 4 >> min(i, 2)])
        for i in range(4)
    ]  # fmt: skip
    model: nn.Module = MViT((32, 32), 4, settings, False, False, False, False, num_classes=CLASSES)
    return model


def mvit_v2() -> nn.Module:
    """Return a multiscale vision transformer of the second version with four blocks."""
    steps = [1, 2, 1, 2]
    settings = [
        MSBlockConfig((1, 2, 2, 4)[i], (8, 8, 16, 16)[i], (8, 16, 16, 32)[i], [3, 3, 3], [3, 3, 3],
                      [1, steps[i], steps[i]], [1, (4, 2, 2, 1)[i], (4, 2, 2, 1)[i]])
        for i in range(4)
    ]  # fmt: skip
    model: nn.Module = MViT((32, 32), 4, settings, True, False, True, True, num_classes=CLASSES)
    return model


def swin3d(heads: Sequence[int], third: int) -> Callable[[], nn.Module]:
    """Return what builds a Swin transformer for video with `third` blocks in its third stage."""

    def build() -> nn.Module:
        model: nn.Module = SwinTransformer3d(
            [2, 4, 4], 4 * heads[0], [2, 2, third, 2], list(heads), [2, 4, 4], num_classes=CLASSES
        )
        return model

    return build


BUILDERS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "r3d_18": (video_resnet([resnet.Conv3DSimple] * 4, resnet.BasicStem), 4),
    "mc3_18": (video_resnet([resnet.Conv3DSimple, *[resnet.Conv3DNoTemporal] * 3], resnet.BasicStem), 4),
    "r2plus1d_18": (video_resnet([resnet.Conv2Plus1D] * 4, resnet.R2Plus1dStem), 4),
    "s3d": (s3d, 8),
    "mvit_v1_b": (mvit_v1, 4),
    "mvit_v2_s": (mvit_v2, 4),
    "swin3d_t": (swin3d((3, 6, 12, 24), 2), 8),
    "swin3d_s": (swin3d((3, 6, 12, 24), 4), 8),
    "swin3d_b": (swin3d((4, 8, 16, 32), 4), 8),
}
"""How to build each, and the number of its frames."""

MODELS: tuple[ZooModel, ...] = tuple(
    ZooModel(f"torchvision/{name}", build, floats((3, frames, 32, 32))) for name, (build, frames) in BUILDERS.items()
)
