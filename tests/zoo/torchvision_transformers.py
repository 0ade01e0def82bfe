"""torchvision's transformers and ConvNeXts: the published architectures with narrower layers and fewer blocks."""

from collections.abc import Callable, Sequence

from torch import nn

from tests import torchvision_shim
from tests.zoo.inputs import images
from tests.zoo.model import ZooModel

torchvision_shim.prepare()

from torchvision.models.convnext import CNBlockConfig, ConvNeXt  # noqa: E402  (needs the declarations above)
from torchvision.models.maxvit import MaxVit  # noqa: E402
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformer, SwinTransformerBlockV2  # noqa: E402
from torchvision.models.vision_transformer import VisionTransformer  # noqa: E402

CLASSES = 5


def convnext(width: int, depth: int) -> Callable[[], nn.Module]:
    """Return what builds a ConvNeXt with `width` channels in its first stage and `depth` blocks in its third."""

    def build() -> nn.Module:
        widths: list[int | None] = [width, 2 * width, 4 * width, 8 * width, None]
        settings = [CNBlockConfig(widths[i], widths[i + 1], (1, 1, depth, 1)[i]) for i in range(4)]
        model: nn.Module = ConvNeXt(settings, num_classes=CLASSES)
        return model

    return build


def vit(image: int, patch: int, heads: int, layers: int = 2) -> Callable[[], nn.Module]:
    """Return what builds a vision transformer whose heads have 4 features."""

    def build() -> nn.Module:
        model: nn.Module = VisionTransformer(image, patch, layers, heads, 4 * heads, 8 * heads, num_classes=CLASSES)
        return model

    return build


def swin(heads: Sequence[int], depths: Sequence[int], second: bool = False) -> Callable[[], nn.Module]:
    """Return what builds a Swin transformer whose heads have 4 features, of the first or the second version."""

    def build() -> nn.Module:
        options = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2} if second else {}
        model: nn.Module = SwinTransformer(
            [4, 4], 4 * heads[0], list(depths), list(heads), [4, 4], num_classes=CLASSES, **options
        )
        return model

    return build


def maxvit() -> nn.Module:
    """Return a MaxViT of two stages with one block each."""
    model: nn.Module = MaxVit(
        input_size=(32, 32), stem_channels=8, partition_size=4, block_channels=[16, 32], block_layers=[1, 1],
        head_dim=8, stochastic_depth_prob=0.0, num_classes=CLASSES,
    )  # fmt: skip
    return model


SMALL, LARGE = (3, 6, 12, 24), (4, 8, 16, 32)

BUILDERS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "convnext_tiny": (convnext(12, 2), 32),
    "convnext_small": (convnext(12, 4), 32),
    "convnext_base": (convnext(16, 4), 32),
    "convnext_large": (convnext(24, 4), 32),
    "vit_b_16": (vit(32, 16, 12), 32),
    "vit_b_32": (vit(64, 32, 12), 64),
    "vit_l_16": (vit(32, 16, 16, layers=4), 32),
    "vit_l_32": (vit(64, 32, 16, layers=4), 64),
    "vit_h_14": (vit(28, 14, 16, layers=5), 28),
    "swin_t": (swin(SMALL, (2, 2, 2, 2)), 32),
    "swin_s": (swin(SMALL, (2, 2, 4, 2)), 32),
    "swin_b": (swin(LARGE, (2, 2, 4, 2)), 32),
    "swin_v2_t": (swin(SMALL, (2, 2, 2, 2), second=True), 32),
    "swin_v2_s": (swin(SMALL, (2, 2, 4, 2), second=True), 32),
    "swin_v2_b": (swin(LARGE, (2, 2, 4, 2), second=True), 32),
    "maxvit_t": (maxvit, 32),
}
"""How to build each, and the size of its images."""

MODELS: tuple[ZooModel, ...] = tuple(
    ZooModel(f"torchvision/{name}", build, images(size)) for name, (build, size) in BUILDERS.items()
)
