"""Hugging Face's networks on images."""

from typing import Any

from tests.observation import MakeInputs
from tests.zoo.hugging_face_building import IMAGE, LAYERS, PATCH, hugging_face, image
from tests.zoo.inputs import images
from tests.zoo.model import ZooModel


def _vision(kind: str, head: str = "ForImageClassification", inputs: MakeInputs = image, **config: Any) -> ZooModel:
    return hugging_face(kind, head, inputs, **config)


def _large(batch: int, seed: int) -> dict[str, Any]:
    """Images for networks with a large stride."""
    return {"pixel_values": images(64)(batch, seed)[0]}  # type: ignore[index]


_PATCHES: dict[str, Any] = {"image_size": IMAGE, "patch_size": PATCH}
_WINDOWS: dict[str, Any] = {
    "image_size": IMAGE, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4,
}  # fmt: skip
_STAGES: dict[str, Any] = {"hidden_sizes": [16, 32], "depths": [1, 1]}
_PYRAMID: dict[str, Any] = {
    **_STAGES, "image_size": IMAGE, "num_encoder_blocks": 2, "num_attention_heads": [1, 2], "sr_ratios": [4, 2],
    "patch_sizes": [7, 3], "strides": [4, 2], "mlp_ratios": [2, 2],
}  # fmt: skip
_TWO: dict[str, Any] = {
    "patch_sizes": [7, 3], "patch_stride": [4, 2], "patch_padding": [2, 1], "mlp_ratio": [2.0, 2.0],
    "qkv_bias": [True, True], "qkv_projection_method": ["dw_bn", "dw_bn"], "kernel_qkv": [3, 3],
    "padding_kv": [1, 1], "stride_kv": [2, 2], "padding_q": [1, 1], "stride_q": [1, 1], "cls_token": [False, True],
    **{f"{name}drop{rest}_rate": [0.0, 0.0] for name, rest in (("attention_", ""), ("", ""), ("", "_path"))},
}  # fmt: skip

MODELS: tuple[ZooModel, ...] = (
    _vision("vit", **_PATCHES),
    _vision("deit", **_PATCHES),
    _vision("beit", **_PATCHES),
    _vision("beit", variant="relative", use_relative_position_bias=True, use_mask_token=False, **_PATCHES),
    _vision("data2vec-vision", **_PATCHES),
    _vision("dinov2", **_PATCHES),
    _vision("dinov2_with_registers", **_PATCHES),
    _vision("ijepa", **_PATCHES),
    _vision("vit_msn", **_PATCHES),
    _vision(
        "vit_mae",
        "ForPreTraining",
        outputs=("logits",),
        mask_ratio=0.0,
        decoder_hidden_size=16,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
        **_PATCHES,
    ),
    _vision("swin", **_WINDOWS),
    _vision("swinv2", **_WINDOWS),
    _vision("donut-swin", **_WINDOWS),
    _vision(
        "hiera",
        image_size=[IMAGE, IMAGE],
        embed_dim=16,
        depths=[1, 1, 1],
        num_heads=[1, 2, 4],
        patch_stride=[2, 2],
        patch_size=[3, 3],
        patch_padding=[1, 1],
        num_query_pool=2,
    ),
    _vision("convnext", num_stages=2, **_STAGES),
    _vision("convnextv2", num_stages=2, **_STAGES),
    _vision(
        "focalnet",
        image_size=IMAGE,
        patch_size=2,
        embed_dim=16,
        depths=[1, 2],
        focal_levels=[2, 2],
        focal_windows=[3, 3],
    ),
    _vision("segformer", **_PYRAMID),
    _vision("segformer", "ForSemanticSegmentation", variant="segmentation", decoder_hidden_size=16, **_PYRAMID),
    _vision("pvt", sequence_reduction_ratios=[4, 1], **_PYRAMID | {"patch_sizes": [4, 2]}),
    _vision("pvt_v2", **_PYRAMID),
    _vision("mobilevit", image_size=IMAGE, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32]),
    _vision("mobilevitv2", inputs=_large, image_size=64, width_multiplier=0.25, n_attn_blocks=[1, 1, 1]),
    _vision("mobilenet_v1", depth_multiplier=0.25, image_size=IMAGE, min_depth=8),
    _vision("mobilenet_v2", depth_multiplier=0.25, image_size=IMAGE, min_depth=8),
    _vision("efficientnet", image_size=IMAGE, width_coefficient=0.25, depth_coefficient=0.25, hidden_dim=320),
    _vision(
        "poolformer",
        num_encoder_blocks=2,
        patch_sizes=[7, 3],
        strides=[4, 2],
        padding=[2, 1],
        mlp_ratio=2.0,
        **_STAGES,
    ),
    _vision(
        "levit",
        inputs=_large,
        image_size=64,
        hidden_sizes=[16, 24, 32],
        num_attention_heads=[2, 3, 4],
        depths=[1, 1, 1],
        key_dim=[8, 8, 8],
    ),
    _vision("cvt", embed_dim=[16, 32], num_heads=[1, 2], depth=[1, 2], **_TWO),
    _vision("resnet", embedding_size=16, **_STAGES | {"hidden_sizes": [32, 64]}),
    _vision("regnet", embedding_size=16, groups_width=8, **_STAGES),
    _vision("bit", embedding_size=32, num_groups=4, **_STAGES | {"hidden_sizes": [32, 64]}),
    _vision("swiftformer", embed_dims=[8, 16], depths=[1, 1], downsamples=[True, True]),
    _vision("textnet"),
    _vision("hgnet_v2"),
    _vision(
        "dpt",
        "ForDepthEstimation",
        neck_hidden_sizes=[8, 16],
        fusion_hidden_size=16,
        backbone_out_indices=[0, 1],
        reassemble_factors=[2, 1],
        neck_ignore_stages=[],
        is_hybrid=False,
        head_in_index=-1,
        **_PATCHES,
    ),
    _vision(
        "glpn",
        "ForDepthEstimation",
        num_encoder_blocks=4,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
    ),
    _vision(
        "yolos",
        "ForObjectDetection",
        outputs=("logits", "pred_boxes"),
        image_size=[IMAGE, IMAGE],
        patch_size=PATCH,
        num_detection_tokens=6,
    ),
    _vision(
        "detr",
        "ForObjectDetection",
        outputs=("logits", "pred_boxes"),
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config={"model_type": "resnet", "embedding_size": 16, **_STAGES, "out_features": ["stage2"]},
        num_queries=6,
    ),
    _vision("siglip", variant="image", vision_config={**LAYERS, **_PATCHES}),
    _vision("clip", variant="image", vision_config={**LAYERS, **_PATCHES}, projection_dim=16),
)
