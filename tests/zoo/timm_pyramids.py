"""timm's transformers and hybrids whose stages get wider as the image gets smaller."""

from typing import Any

from timm.models import gcvit, mvitv2, nest

from tests.zoo.timm_building import ONE_EACH, built, byob, listed

#: Two stages of windows, shifted in every second block.
_SWIN: dict[str, Any] = {
    "patch_size": 2,
    "embed_dim": 16,
    "depths": (2, 2),
    "num_heads": (2, 2),
    "window_size": 4,
    "img_size": 32,
}

#: Two heads from the second of four stages on.
_HEADS = [1, 2, 2, 2]

#: The widths of four stages.
_WIDTHS = [16, 16, 32, 32]

MODELS = (
    listed("swin_tiny_patch4_window7_224", **_SWIN),
    listed("swin_s3_tiny_224", **{**_SWIN, "window_size": (4, 4)}),
    listed("swinv2_tiny_window8_256", **_SWIN),
    listed("swinv2_cr_tiny_224", **_SWIN),
    listed("davit_tiny", depths=(1, 1), embed_dims=(16, 32), num_heads=(2, 2), window_size=4),
    listed("davit_base_fl", depths=(1, 1), embed_dims=(16, 32), num_heads=(2, 2), window_size=4),
    built("gcvit_xxtiny", gcvit.GlobalContextVit, img_size=32, embed_dim=8, depths=(1, 1, 1, 1), num_heads=_HEADS),
    built(
        "mvitv2_tiny",
        mvitv2.MultiScaleVit,
        cfg=mvitv2.MultiScaleVitCfg((1, 1, 1, 1), (8, 16, 16, 32), (1, 1, 2, 2)),
        img_size=32,
    ),
    listed("hiera_tiny_224", img_size=(32, 32), embed_dim=16, stages=(1, 1, 1), q_pool=2, mask_unit_size=(4, 4)),
    listed(
        "sam2_hiera_tiny",
        64,
        embed_dim=16,
        stages=(1, 1, 2, 1),
        global_att_blocks=(3,),
        q_stride=(2, 2),
        window_spec=(2, 2, 2, 2),
        global_pos_size=(4, 4),
    ),
    built("nest_tiny", nest.Nest, img_size=32, embed_dims=(16, 16, 32), num_heads=(2, 2, 2), depths=(1, 1, 1)),
    listed("twins_pcpvt_small", 64, img_size=64, embed_dims=_WIDTHS, num_heads=_HEADS, depths=[1, 1, 1, 1]),
    listed("twins_svt_small", 64, img_size=64, embed_dims=_WIDTHS, num_heads=_HEADS, depths=[2, 1, 1, 1]),
    listed("pvt_v2_b0", 64, depths=(1, 1, 1, 1), embed_dims=_WIDTHS, num_heads=_HEADS),
    listed("pvt_v2_b2_li", 64, depths=(1, 1, 1, 1), embed_dims=_WIDTHS, num_heads=_HEADS),
    listed(
        "tiny_vit_5m_224",
        64,
        embed_dims=_WIDTHS,
        depths=[1, 1, 1, 1],
        num_heads=_HEADS,
        window_sizes=[2, 2, 2, 2],
    ),
    listed("nextvit_small", 64, depths=(1, 1, 5, 1)),
    listed("efficientformer_l1", 224, depths=(1, 1, 1, 2), embed_dims=_WIDTHS),
    listed("efficientformerv2_s0", 64, img_size=64, depths=(1, 1, 1, 2), embed_dims=_WIDTHS),
    listed("efficientvit_b0", 64, widths=(8, 8, 16, 16, 32), depths=(1, 1, 1, 1, 1), head_dim=8, head_widths=(32, 48)),
    listed("efficientvit_l1", 64, widths=(8, 8, 16, 16, 32), depths=(1, 1, 1, 1, 1), head_dim=8, head_widths=(32, 48)),
    listed(
        "efficientvit_m0",
        64,
        img_size=64,
        embed_dim=[16, 16, 32],
        depth=[1, 1, 1],
        num_heads=[2, 2, 2],
        key_dim=[8, 8, 8],
    ),
    listed("efficientvim_m1", 64, embed_dim=(16, 16, 32), depths=(1, 1, 1), state_dim=(9, 4, 4)),
    listed("edgenext_xx_small", 64, dims=(8, 16, 24, 32), depths=(2, 2, 2, 2), heads=(2, 2, 2, 2)),
    listed("shvit_s1", 64, embed_dim=(16, 24, 32), depth=(1, 1, 1), partial_dim=(8, 8, 8), qk_dim=(8, 8, 8)),
    listed("swiftformer_xs", 64, layers=[1, 1, 1, 1], embed_dims=_WIDTHS),
    listed("fastvit_t8", 64, **ONE_EACH, embed_dims=_WIDTHS),
    listed("fastvit_sa12", 64, **ONE_EACH, embed_dims=_WIDTHS),
    listed("fastvit_mci0", 64, **ONE_EACH, embed_dims=_WIDTHS),
    listed("iformer_t", 64, dims=(8, 16, 24, 32), depths=(1, 1, 10, 7)),
    listed("lowformer_b0", 64, width_list=[8, 8, 16, 16, 32], depth_list=[0, 1, 1, 1, 2], head_widths=(32, 48)),
    listed("cpubone_nano", 64, width_list=[8, 8, 16, 16, 32], depth_list=[0, 1, 1, 1, 2], head_widths=(32, 48)),
    listed("csatv2", 64, dims=(8, 16, 24, 32), depths=(1, 1, 2, 2), transformer_depths=(0, 0, 1, 1)),
    listed("repvit_m1", 64, img_size=64, embed_dim=(8, 16, 24, 32), depth=(1, 1, 1, 1)),
    *(
        listed(name, img_size=32, embed_dim=(16, 16, 32, 32), depths=(1, 1, 1, 1), stem_width=8, transformer_dim_head=8)
        for name in (
            "test_coatnet",
            "coatnet_pico_rw_224",
            "coatnet_bn_0_rw_224",
            "coatnet_rmlp_nano_rw_224",
            "coatnext_nano_rw_224",
            "maxvit_tiny_tf_224",
            "maxxvitv2_nano_rw_256",
        )
    ),
    byob("mobilevit_xxs", 64, 1),
    byob("mobilevitv2_050", 64, 2),
)
