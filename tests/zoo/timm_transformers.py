"""timm's transformers of one width."""

from typing import Any

from timm.models import volo

from tests.zoo.model import ZooModel
from tests.zoo.timm_building import built, listed

#: A plain transformer of 16 tokens.
_VIT: dict[str, Any] = {"img_size": 16, "patch_size": 4, "embed_dim": 32, "depth": 2, "num_heads": 2}


def vit(name: str, **options: Any) -> ZooModel:
    return listed(name, 16, **{**_VIT, **options})


MODELS = (
    *map(
        vit,
        (
            "vit_tiny_patch16_224",
            "vit_small_patch16_18x2_224",
            "vit_base_patch16_rpn_224",
            "vit_base_patch16_siglip_224",
            "vit_base_patch16_clip_quickgelu_224",
            "vit_small_patch14_reg4_dinov2",
            "vit_so150m_patch16_reg4_map_256",
            "aimv2_large_patch14_224",
            "beit3_base_patch16_224",
            "flexivit_small",
            "test_vit3",
            "test_vit4",
            "deit_tiny_distilled_patch16_224",
            "deit3_small_patch16_224",
            "beit_base_patch16_224",
            "beitv2_base_patch16_224",
            "eva02_tiny_patch14_224",
            "eva_giant_patch14_224",
            "vit_small_patch16_dinov3",
            "vit_small_plus_patch16_dinov3",
            "vit_base_patch16_rope_mixed_224",
            "vit_pe_core_tiny_patch16_384",
            "vit_base_patch16_lingbot",
            "cait_xxs24_224",
            "deepseek_vit_412m",
            "test_vit_relpos",
            "vit_relpos_small_patch16_224",
            "vit_srelpos_small_patch16_224",
        ),
    ),
    # In training its positions are scaled by a random number between 1 / R and R; timm leaves out what is None.
    vit("vit_base_patch16_sapiens2", num_kv_heads=1, rope_rescale_coords=1.0),
    vit("convit_tiny", local_up_to_layer=1),
    vit("gemma4_vit_167m", position_embedding_size=16, intermediate_size=48, use_clipped_linears=False),
    vit("qwen3_vit_88m", pos_embed_grid_size=4),
    vit("samvit_base_patch16_224", global_attn_indexes=(1,), window_size=2, neck_chans=16),
    listed(
        "naflexvit_base_patch16_gap", 32, embed_dim=48, depth=2, num_heads=2, patch_size=8, pos_embed_grid_size=(4, 4)
    ),
    listed(
        "crossvit_tiny_240",
        48,
        img_size=48,
        img_scale=(1.0, 1.0),
        embed_dim=[16, 32],
        num_heads=[2, 2],
        depth=[[1, 2, 0], [1, 2, 0]],
        mlp_ratio=[2, 2, 1],
    ),
    listed("vit_tiny_r_s16_p8_224", **{**_VIT, "img_size": 32, "patch_size": 1}),
    listed("vitamin_small_224", img_size=32, depth=1, num_heads=2),
    listed("tnt_s_patch16_224", img_size=32, embed_dim=32, inner_dim=8, depth=2, num_heads_inner=2, num_heads_outer=2),
    listed("xcit_nano_12_p16_224", img_size=32, embed_dim=32, depth=2, num_heads=2),
    built(
        "volo_d1_224", volo.VOLO, img_size=32, layers=(1, 1, 1, 1), embed_dims=(16, 32, 32, 32), num_heads=(2, 2, 2, 2)
    ),
    listed("pit_ti_224", img_size=32, patch_size=8, stride=4, base_dims=[8, 8, 8], depth=[1, 1, 1], heads=[2, 4, 8]),
    listed("visformer_tiny", img_size=32, init_channels=8, embed_dim=32, depth=(1, 1, 1), num_heads=2, group=2),
    listed("levit_128s", img_size=32, embed_dim=(32, 48, 64), num_heads=(2, 3, 4), depth=(1, 1, 1), key_dim=8),
    listed("levit_conv_128s", img_size=32, embed_dim=(32, 48, 64), num_heads=(2, 3, 4), depth=(1, 1, 1), key_dim=8),
    listed("coat_lite_tiny", img_size=32, embed_dims=[16, 32, 32, 32], serial_depths=[1, 1, 1, 1], num_heads=8),
    listed(
        "coat_tiny", img_size=32, embed_dims=[16, 16, 16, 16], serial_depths=[1, 1, 1, 1], parallel_depth=1, num_heads=8
    ),
)
