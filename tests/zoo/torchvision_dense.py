"""torchvision's networks for segmentation and optical flow, and the parts of detection networks that can be traced.

Detectors as a whole turn images of many sizes into boxes of many numbers. What is in between is traced: the backbone
with its feature pyramid, together with the convolutional head behind it, and the heads that look at single boxes.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from tests import torchvision_shim
from tests.observation import Inputs, MakeInputs
from tests.zoo.inputs import images, normal
from tests.zoo.model import ZooModel

torchvision_shim.prepare()

from torchvision import models  # noqa: E402  (needs the declarations above)
from torchvision.models.optical_flow import raft  # noqa: E402

CLASSES = 5


def shallow(stages: Any, third: int = 1) -> None:
    """Cut the stages of a ResNet down to their first blocks, `third` of them in the third stage."""
    for name, depth in (("layer1", 1), ("layer2", 1), ("layer3", third), ("layer4", 1)):
        if name in dict(stages.named_children()):
            stages[name] = stages[name][:depth]


def segmentation(name: str) -> Callable[[], nn.Module]:
    """Return what builds a segmentation network, with its auxiliary head where there can be one."""

    def build() -> nn.Module:
        options = {} if name.startswith("lraspp") else {"aux_loss": True}
        model: Any = models.get_model(name, weights=None, weights_backbone=None, num_classes=CLASSES, **options)
        shallow(model.backbone, third=2 if "101" in name else 1)
        network: nn.Module = model
        return network

    return build


class Trunk(nn.Module):
    """A detector's backbone, and its convolutional head on all levels of the pyramid."""

    def __init__(self, detector: Any, head: nn.Module) -> None:
        super().__init__()
        self.backbone = detector.backbone
        self.head = head

    def forward(self, x: Tensor) -> Any:
        levels = self.backbone(x)
        return self.head(list(levels.values()))


def detector(name: str) -> Any:
    """Return a detection network, shallow and with few classes."""
    found: Any = models.get_model(
        name, weights=None, weights_backbone=None, num_classes=CLASSES, trainable_backbone_layers=5
    )
    if hasattr(found.backbone, "body"):
        shallow(found.backbone.body)
    return found


def trunk(name: str) -> Callable[[], nn.Module]:
    """Return what builds the trunk of a detector: with the head of its boxes, or of its region proposals."""

    def build() -> nn.Module:
        found = detector(name)
        return Trunk(found, found.rpn.head if hasattr(found, "rpn") else found.head)

    return build


def box_head(name: str, part: str) -> Callable[[], nn.Module]:
    """Return what builds a head that looks at the features of single boxes: "box", "mask" or "keypoint"."""

    def build() -> nn.Module:
        heads = detector(name).roi_heads
        return nn.Sequential(getattr(heads, f"{part}_head"), getattr(heads, f"{part}_predictor"))

    return build


def raft_small() -> nn.Module:
    """Return RAFT small, a quarter as wide, with a pyramid of two levels."""
    model: nn.Module = raft._raft(
        feature_encoder_layers=(8, 8, 16, 24, 32), feature_encoder_block=raft.BottleneckBlock,
        feature_encoder_norm_layer=nn.InstanceNorm2d, context_encoder_layers=(8, 8, 16, 24, 40),
        context_encoder_block=raft.BottleneckBlock, context_encoder_norm_layer=None, corr_block_num_levels=2,
        corr_block_radius=3, motion_encoder_corr_layers=(24,), motion_encoder_flow_layers=(16, 8),
        motion_encoder_out_channels=20, recurrent_block_hidden_state_size=24, recurrent_block_kernel_size=(3,),
        recurrent_block_padding=(1,), flow_head_hidden_size=32, use_mask_predictor=False,
    )  # fmt: skip
    return model


def raft_large() -> nn.Module:
    """Return RAFT large, an eighth as wide, with a pyramid of two levels."""
    model: nn.Module = raft._raft(
        feature_encoder_layers=(8, 8, 12, 16, 32), feature_encoder_block=raft.ResidualBlock,
        feature_encoder_norm_layer=nn.InstanceNorm2d, context_encoder_layers=(8, 8, 12, 16, 32),
        context_encoder_block=raft.ResidualBlock, context_encoder_norm_layer=nn.BatchNorm2d, corr_block_num_levels=2,
        corr_block_radius=4, motion_encoder_corr_layers=(32, 24), motion_encoder_flow_layers=(16, 8),
        motion_encoder_out_channels=16, recurrent_block_hidden_state_size=16,
        recurrent_block_kernel_size=((1, 5), (5, 1)), recurrent_block_padding=((0, 2), (2, 0)),
        flow_head_hidden_size=32, use_mask_predictor=True,
    )  # fmt: skip
    return model


def two_frames(batch: int, seed: int) -> Inputs:
    """Return two images, and a small number of refinements."""
    first, second = normal(2, batch, 3, 32, 32, seed=seed)
    return {"image1": first, "image2": second, "num_flow_updates": 2}


SEGMENTATION = (
    "deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50", "deeplabv3_resnet101", "fcn_resnet50", "fcn_resnet101",
    "lraspp_mobilenet_v3_large",
)  # fmt: skip

TRUNKS = (
    "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn", "fcos_resnet50_fpn", "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2", "ssd300_vgg16", "ssdlite320_mobilenet_v3_large",
)  # fmt: skip

IMAGE = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}
"""Size of the images where it is not 64: the last levels of the pyramid need the published size."""

HEADS: dict[str, tuple[Callable[[], nn.Module], MakeInputs]] = {
    "fasterrcnn_resnet50_fpn_v2_boxes": (box_head("fasterrcnn_resnet50_fpn_v2", "box"), images(7, 256)),
    "maskrcnn_resnet50_fpn_masks": (box_head("maskrcnn_resnet50_fpn", "mask"), images(7, 256)),
    "maskrcnn_resnet50_fpn_v2_masks": (box_head("maskrcnn_resnet50_fpn_v2", "mask"), images(7, 256)),
    "keypointrcnn_resnet50_fpn_keypoints": (box_head("keypointrcnn_resnet50_fpn", "keypoint"), images(7, 256)),
}

MODELS: tuple[ZooModel, ...] = (
    *(ZooModel(f"torchvision/{name}", segmentation(name), images(32)) for name in SEGMENTATION),
    ZooModel("torchvision/raft_small", raft_small, two_frames),
    ZooModel("torchvision/raft_large", raft_large, two_frames),
    *(ZooModel(f"torchvision/{name}", trunk(name), images(IMAGE.get(name, 64))) for name in TRUNKS),
    *(ZooModel(f"torchvision/{name}", build, inputs) for name, (build, inputs) in HEADS.items()),
)
