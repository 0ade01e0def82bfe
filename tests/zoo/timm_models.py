"""timm's families, one or two small members of each: few blocks, narrow where the constructor allows it, small images."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from tests import torchvision_shim
from tests.zoo.inputs import images
from tests.zoo.model import ZooModel

torchvision_shim.prepare()

import timm  # noqa: E402  (needs the declarations above)
from timm.layers import GatedMlp, GluMlp, GroupNorm1, GroupNormAct, StdConv2d  # noqa: E402
from timm.models import (  # noqa: E402
    byoanet,
    byobnet,
    convmixer,
    efficientnet,
    focalnet,
    gcvit,
    metaformer,
    mlp_mixer,
    mobilenetv3,
    mobilenetv5,
    mobilevit,
    mvitv2,
    nest,
    resnetv2,
    vgg,
    volo,
)

CLASSES = 5


def _timm(name: str, image: int = 32, *, note: str = "", quick: bool = False, **options: Any) -> ZooModel:
    """List a model by its name in timm; `options` go to its constructor."""
    return ZooModel(
        f"timm/{name}",
        lambda: timm.create_model(name, pretrained=False, num_classes=CLASSES, **options),
        images(image),
        note,
        quick,
    )


def _byob(name: str, image: int = 32, narrow: int = 4, **options: Any) -> ZooModel:
    """List a network of timm's block toolkit: one block of each kind in each stage, all of them `narrow` times thinner."""

    def thin(block: Any) -> Any:
        if isinstance(block, (tuple, list)):
            return tuple({part.type: thin(part) for part in block}.values())
        return replace(block, d=1, c=block.c // narrow)

    def build() -> nn.Module:
        cfg = {**byobnet.model_cfgs, **byoanet.model_cfgs, **mobilevit.model_cfgs}[name]
        size = {"img_size": image} if cfg.fixed_input_size else {}
        thinner = {"blocks": tuple(map(thin, cfg.blocks)), "num_features": min(cfg.num_features, 48)}
        model: nn.Module = byobnet.ByobNet(cfg, num_classes=CLASSES, **{**thinner, **size, **options})
        return model

    return ZooModel(f"timm/{name}", build, images(image))


def _built(name: str, make: Callable[..., nn.Module], image: int = 32, **options: Any) -> ZooModel:
    """List a model whose entry in timm's registry fixes what has to be smaller here, by what the entry calls."""
    return ZooModel(f"timm/{name}", lambda: make(num_classes=CLASSES, **options), images(image))


def _big_transfer(**options: Any) -> nn.Module:
    """Make a BiT network: standardised weights, and group norms in front of the activations."""
    norm, conv = partial(GroupNormAct, num_groups=4), partial(StdConv2d, eps=1e-8)
    model: nn.Module = resnetv2.ResNetV2(norm_layer=norm, conv_layer=conv, stem_type="fixed", **options)
    return model


#: A plain transformer of 16 tokens.
_VIT = {"img_size": 16, "patch_size": 4, "embed_dim": 32, "depth": 2, "num_heads": 2}

#: Two stages of windows, shifted in every second block.
_SWIN = {"patch_size": 2, "embed_dim": 16, "depths": (2, 2), "num_heads": (2, 2), "window_size": 4, "img_size": 32}

#: Four stages that get wider.
_FOUR = {"depths": (1, 1, 1, 1), "dims": (16, 16, 32, 32)}

_ONE_EACH = {"layers": (1, 1, 1, 1)}
_RESNET = {**_ONE_EACH, "channels": (16, 16, 32, 32)}


def _vit(name: str, **options: Any) -> ZooModel:
    return _timm(name, 16, **{**_VIT, **options})


_TRANSFORMERS = (
    *map(
        _vit,
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
    _vit("vit_base_patch16_sapiens2", num_kv_heads=1),
    _vit("convit_tiny", local_up_to_layer=1),
    _vit("gemma4_vit_167m", position_embedding_size=16, intermediate_size=48),
    _vit("qwen3_vit_88m", pos_embed_grid_size=4),
    _vit("samvit_base_patch16_224", global_attn_indexes=(1,), window_size=2, neck_chans=16),
    _timm("naflexvit_base_patch16_gap", 32, embed_dim=48, depth=2, num_heads=2, patch_size=8, pos_embed_grid_size=(4, 4)),
    _timm(
        "crossvit_tiny_240",
        48,
        img_size=48,
        img_scale=(1.0, 1.0),
        embed_dim=[16, 32],
        num_heads=[2, 2],
        depth=[[1, 2, 0], [1, 2, 0]],
        mlp_ratio=[2, 2, 1],
    ),
    _timm("vit_tiny_r_s16_p8_224", **{**_VIT, "img_size": 32, "patch_size": 1}),
    _timm("vitamin_small_224", img_size=32, depth=1, num_heads=2),
    _timm("tnt_s_patch16_224", img_size=32, embed_dim=32, inner_dim=8, depth=2, num_heads_inner=2, num_heads_outer=2),
    _timm("xcit_nano_12_p16_224", img_size=32, embed_dim=32, depth=2, num_heads=2),
    _built(
        "volo_d1_224", volo.VOLO, img_size=32, layers=(1, 1, 1, 1), embed_dims=(16, 32, 32, 32), num_heads=(2, 2, 2, 2)
    ),
    _timm("pit_ti_224", img_size=32, patch_size=8, stride=4, base_dims=[8, 8, 8], depth=[1, 1, 1], heads=[2, 4, 8]),
    _timm("visformer_tiny", img_size=32, init_channels=8, embed_dim=32, depth=(1, 1, 1), num_heads=2, group=2),
    _timm("levit_128s", img_size=32, embed_dim=(32, 48, 64), num_heads=(2, 3, 4), depth=(1, 1, 1), key_dim=8),
    _timm("levit_conv_128s", img_size=32, embed_dim=(32, 48, 64), num_heads=(2, 3, 4), depth=(1, 1, 1), key_dim=8),
    _timm("coat_lite_tiny", img_size=32, embed_dims=[16, 32, 32, 32], serial_depths=[1, 1, 1, 1], num_heads=8),
    _timm(
        "coat_tiny", img_size=32, embed_dims=[16, 16, 16, 16], serial_depths=[1, 1, 1, 1], parallel_depth=1, num_heads=8
    ),
)

_PYRAMIDS = (
    _timm("swin_tiny_patch4_window7_224", quick=True, **_SWIN),
    _timm("swin_s3_tiny_224", **{**_SWIN, "window_size": (4, 4)}),
    _timm("swinv2_tiny_window8_256", **_SWIN),
    _timm("swinv2_cr_tiny_224", **_SWIN),
    _timm("davit_tiny", depths=(1, 1), embed_dims=(16, 32), num_heads=(2, 2), window_size=4),
    _timm("davit_base_fl", depths=(1, 1), embed_dims=(16, 32), num_heads=(2, 2), window_size=4),
    _built("gcvit_xxtiny", gcvit.GlobalContextVit, img_size=32, embed_dim=8, depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 2)),
    _built(
        "mvitv2_tiny",
        mvitv2.MultiScaleVit,
        cfg=mvitv2.MultiScaleVitCfg((1, 1, 1, 1), (8, 16, 16, 32), (1, 1, 2, 2)),
        img_size=32,
    ),
    _timm("hiera_tiny_224", img_size=(32, 32), embed_dim=16, stages=(1, 1, 1), q_pool=2, mask_unit_size=(4, 4)),
    _timm(
        "sam2_hiera_tiny",
        64,
        embed_dim=16,
        stages=(1, 1, 2, 1),
        global_att_blocks=(3,),
        q_stride=(2, 2),
        window_spec=(2, 2, 2, 2),
        global_pos_size=(4, 4),
    ),
    _built("nest_tiny", nest.Nest, img_size=32, embed_dims=(16, 16, 32), num_heads=(2, 2, 2), depths=(1, 1, 1)),
    _timm(
        "twins_pcpvt_small", 64, img_size=64, embed_dims=[16, 16, 32, 32], num_heads=[1, 2, 2, 2], depths=[1, 1, 1, 1]
    ),
    _timm("twins_svt_small", 64, img_size=64, embed_dims=[16, 16, 32, 32], num_heads=[1, 2, 2, 2], depths=[2, 1, 1, 1]),
    _timm("pvt_v2_b0", 64, depths=(1, 1, 1, 1), embed_dims=(16, 16, 32, 32), num_heads=(1, 2, 2, 2)),
    _timm("pvt_v2_b2_li", 64, depths=(1, 1, 1, 1), embed_dims=(16, 16, 32, 32), num_heads=(1, 2, 2, 2)),
    _timm(
        "tiny_vit_5m_224",
        64,
        embed_dims=[16, 16, 32, 32],
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 2],
        window_sizes=[2, 2, 2, 2],
    ),
    _timm("nextvit_small", 64, depths=(1, 1, 5, 1)),
    _timm("efficientformer_l1", 224, depths=(1, 1, 1, 2), embed_dims=(16, 16, 32, 32)),
    _timm("efficientformerv2_s0", 64, img_size=64, depths=(1, 1, 1, 2), embed_dims=(16, 16, 32, 32)),
    _timm("efficientvit_b0", 64, widths=(8, 8, 16, 16, 32), depths=(1, 1, 1, 1, 1), head_dim=8, head_widths=(32, 48)),
    _timm("efficientvit_l1", 64, widths=(8, 8, 16, 16, 32), depths=(1, 1, 1, 1, 1), head_dim=8, head_widths=(32, 48)),
    _timm(
        "efficientvit_m0", 64, img_size=64, embed_dim=[16, 16, 32], depth=[1, 1, 1], num_heads=[2, 2, 2], key_dim=[8, 8, 8]
    ),
    _timm("efficientvim_m1", 64, embed_dim=(16, 16, 32), depths=(1, 1, 1), state_dim=(9, 4, 4)),
    _timm("edgenext_xx_small", 64, dims=(8, 16, 24, 32), depths=(2, 2, 2, 2), heads=(2, 2, 2, 2)),
    _timm("shvit_s1", 64, embed_dim=(16, 24, 32), depth=(1, 1, 1), partial_dim=(8, 8, 8), qk_dim=(8, 8, 8)),
    _timm("swiftformer_xs", 64, layers=[1, 1, 1, 1], embed_dims=[16, 16, 32, 32]),
    _timm("fastvit_t8", 64, **_ONE_EACH, embed_dims=(16, 16, 32, 32)),
    _timm("fastvit_sa12", 64, **_ONE_EACH, embed_dims=(16, 16, 32, 32)),
    _timm("fastvit_mci0", 64, **_ONE_EACH, embed_dims=(16, 16, 32, 32)),
    _timm("iformer_t", 64, dims=(8, 16, 24, 32), depths=(1, 1, 10, 7)),
    _timm("lowformer_b0", 64, width_list=[8, 8, 16, 16, 32], depth_list=[0, 1, 1, 1, 2], head_widths=(32, 48)),
    _timm("cpubone_nano", 64, width_list=[8, 8, 16, 16, 32], depth_list=[0, 1, 1, 1, 2], head_widths=(32, 48)),
    _timm("csatv2", 64, dims=(8, 16, 24, 32), depths=(1, 1, 2, 2), transformer_depths=(0, 0, 1, 1)),
    _timm("repvit_m1", 64, img_size=64, embed_dim=(8, 16, 24, 32), depth=(1, 1, 1, 1)),
    *(
        _timm(
            name, img_size=32, embed_dim=(16, 16, 32, 32), depths=(1, 1, 1, 1), stem_width=8, transformer_dim_head=8
        )
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
    _byob("mobilevit_xxs", 64, 1),
    _byob("mobilevitv2_050", 64, 2),
)

_MIXER = {"img_size": 32, "patch_size": 8, "num_blocks": 1, "embed_dim": 32}

_MIXERS = (
    _built("mixer_s32_224", mlp_mixer.MlpMixer, **_MIXER),
    _built("gmixer_12_224", mlp_mixer.MlpMixer, **_MIXER, mlp_ratio=(1.0, 4.0), mlp_layer=GluMlp, act_layer=nn.SiLU),
    _built("resmlp_12_224", mlp_mixer.MlpMixer, **_MIXER, mlp_ratio=4, block_layer=mlp_mixer.ResBlock, norm_layer=mlp_mixer.Affine),
    _built(
        "gmlp_ti16_224", mlp_mixer.MlpMixer, **_MIXER, mlp_ratio=6, block_layer=mlp_mixer.SpatialGatingBlock, mlp_layer=GatedMlp
    ),
    _timm(
        "sequencer2d_s",
        img_size=32,
        layers=[1, 1],
        patch_sizes=[4, 2],
        embed_dims=[16, 24],
        hidden_sizes=[8, 8],
        mlp_ratios=[2, 2],
    ),
    _built(
        "poolformer_s12",
        metaformer.MetaFormer,
        64,
        **_FOUR,
        downsample_norm=None,
        mlp_act=nn.GELU,
        mlp_bias=True,
        norm_layers=GroupNorm1,
        layer_scale_init_values=1e-5,
        res_scale_init_values=None,
        use_mlp_head=False,
    ),
    _built(
        "poolformerv2_s12",
        metaformer.MetaFormer,
        64,
        **_FOUR,
        norm_layers=metaformer.GroupNorm1NoBias,
        use_mlp_head=False,
    ),
    _built(
        "convformer_s18",
        metaformer.MetaFormer,
        64,
        **_FOUR,
        token_mixers=metaformer.SepConv,
        norm_layers=metaformer.LayerNorm2dNoBias,
    ),
    _built(
        "caformer_s18",
        metaformer.MetaFormer,
        64,
        **_FOUR,
        token_mixers=[metaformer.SepConv] * 2 + [metaformer.Attention] * 2,
        norm_layers=[metaformer.LayerNorm2dNoBias] * 2 + [metaformer.LayerNormNoBias] * 2,
    ),
    _timm("mambaout_femto", 64, **_FOUR),
    _built("focalnet_tiny_srf", focalnet.FocalNet, 64, depths=[1, 1, 1, 1], embed_dim=8),
    _built(
        "focalnet_huge_fl4",
        focalnet.FocalNet,
        64,
        depths=[1, 1, 1, 1],
        embed_dim=8,
        focal_levels=[2] * 4,
        use_post_norm=True,
        use_overlap_down=True,
        layerscale_value=1e-4,
    ),
    _timm("inception_next_atto", 64, depths=(1, 1, 1, 1), dims=(16, 24, 32, 40)),
    _built("convmixer_768_32", convmixer.ConvMixer, dim=16, depth=2, kernel_size=7),
    _timm("fasternet_t0", 64, embed_dim=16, depths=(1, 1, 1, 1), feature_dim=40),
    _timm("starnet_s050", 64, depths=[1, 1, 1, 1]),
)

_CONVNETS = (
    _timm("convnext_atto", 64, **_FOUR),
    _timm("convnext_zepto_rms", 64, **_FOUR),
    _timm("convnext_tiny_hnf", 64, **_FOUR),
    _timm("convnextv2_atto", 64, **_FOUR),
    _timm("test_convnext3"),
    _timm(
        "rdnet_tiny",
        64,
        num_init_features=16,
        growth_rates=[8] * 4,
        num_blocks_list=[1] * 4,
        is_downsample_block=(None, True, True, True),
        block_type=["Block", "Block", "BlockESE", "BlockESE"],
    ),
    *(
        _timm(name, **_RESNET)
        for name in (
            "resnet10t",
            "resnetaa50",
            "resnetblur18",
            "resnetrs50",
            "ecaresnet26t",
            "seresnet18",
            "resnext50_32x4d",
            "wide_resnet50_2",
            "skresnet18",
            "skresnext50_32x4d",
            "resnest14d",
            "res2net50_26w_4s",
            "res2next50",
        )
    ),
    _timm("resnet50_gn", **_ONE_EACH, channels=(32, 32, 64, 64), stem_width=32),
    _timm("resnest50d_4s2x40d", **_ONE_EACH, channels=(64, 64, 64, 64)),
    _timm("legacy_seresnet18", layers=(1, 1, 1, 1)),
    *(
        _timm(name, layers=[1, 1], channels=(128, 128), stem_chs=64)
        for name in ("resnetv2_18", "resnetv2_50d_gn", "resnetv2_50d_evos", "resnetv2_50d_frn")
    ),
    _built("resnetv2_50x1_bit", _big_transfer, layers=[1, 1], channels=(32, 64), stem_chs=8),
    *(
        _timm(name, depths=(1, 1, 1, 1), channels=(16, 16, 32, 32), stem_chs=16, num_features=48, **options)
        for name, options in (
            ("test_nfnet", {}),
            ("dm_nfnet_f0", {"group_size": 8}),
            ("eca_nfnet_l0", {"group_size": 8}),
            ("nf_regnet_b0", {}),
            ("nf_resnet26", {}),
            ("nf_seresnet26", {}),
        )
    ),
    *(
        _byob(name, narrow=narrow)
        for name, narrow in {
            "test_byobnet": 1,
            "gernet_s": 4,
            "repvgg_a0": 4,
            "mobileone_s0": 4,
            "resnet51q": 2,
            "resnet32ts": 4,
            "resnext26ts": 2,
            "eca_resnext26ts": 2,
            "gcresnext26ts": 2,
            "regnetz_b16": 1,
            "regnetz_b16_evos": 1,
        }.items()
    ),
    _byob("resnet50_clip", 64, img_size=64),
    _byob("bat_resnext26ts", 64, 2, attn_kwargs={"block_size": 2}),
    _byob("botnet26t", 64),
    _byob("sebotnet33ts", 64, img_size=64),
    _byob("halonet26t", 64, self_attn_kwargs={"block_size": 2, "halo_size": 1}),
    _byob("lambda_resnet26t", 64),
    _byob("lambda_resnet26rpt_256", 64, img_size=64),
    _byob("haloregnetz_b", 64, 1, self_attn_kwargs={"block_size": 2, "halo_size": 1}),
    _timm("regnetx_002", depth=8, w0=8, wa=8.0, wm=2.0, group_size=8),
    _timm("regnety_002", depth=8, w0=8, wa=8.0, wm=2.0, group_size=8),
    _timm("regnetz_005", depth=8, w0=8, wa=8.0, wm=2.0, group_size=8),
    _timm("regnetv_040", depth=8, w0=8, wa=8.0, wm=2.0, group_size=8),
    _timm("cspresnet50"),
    _timm("cspdarknet53"),
    _timm("cs3darknet_focus_s"),
    _timm("cs3se_edgenet_x"),
    _timm("darknet17"),
    _timm("cspnext_tiny"),
    _timm("densenet121", block_config=(2, 2), growth_rate=8),
    _timm("densenetblur121d", block_config=(2, 2), growth_rate=8),
    _timm("dla34", channels=(8, 8, 16, 16, 32, 32)),
    _timm("dla46x_c"),
    _timm("dla60_res2net", levels=(1, 1, 1, 1, 1, 1), channels=(8, 8, 16, 16, 32, 32)),
    _timm("dpn48b", k_sec=(1, 1, 1, 1)),
    _timm("dpn68", k_sec=(1, 1, 1, 1)),
    _timm("hrnet_w18_small"),
    _timm("hgnet_tiny"),
    _timm("hgnetv2_b0"),
    _timm("vovnet39a"),
    _timm("ese_vovnet19b_slim_dw"),
    _built("vgg11", vgg.VGG, cfg=[8, "M", 16, "M", 16, "M"], mlp_ratio=0.01),
    _timm("xception41"),
    _timm("xception41p"),
    _timm("legacy_xception"),
    _timm("inception_v3", 96),
    _timm("nasnetalarge", 64, num_features=384, stem_size=8),
    _timm("selecsls42"),
    _timm("tresnet_m", 64, layers=[1, 1, 1, 1], width_factor=0.25),
    _timm("rexnet_100"),
    _timm("rexnetr_100"),
    _timm("ghostnet_050"),
    _timm("ghostnetv2_100", 64),
    _timm("ghostnetv3_050", 64),
    _timm("repghostnet_050"),
    _timm("lcnetv2_small", scale=0.25, depths=(1, 1, 1, 1), head_hidden_size=48),
    _timm("hardcorenas_a"),
)

_NARROW = {"channel_multiplier": 0.25, "depth_multiplier": 0.1}


def _effnet(name: str, make: Callable[..., nn.Module], image: int = 32, **options: Any) -> ZooModel:
    """List a model that timm generates from a table of stages, by the function that holds the table."""
    return _built(name, partial(make, name), image, **options)


_MOBILE = (
    _timm("test_efficientnet"),
    _timm("test_efficientnet_gn"),
    _timm("test_efficientnet_ln"),
    _timm("test_efficientnet_evos"),
    _effnet("efficientnet_b0", efficientnet._gen_efficientnet, **_NARROW),
    _effnet("efficientnet_blur_b0", efficientnet._gen_efficientnet, **_NARROW, aa_layer="blurpc"),
    _effnet("efficientnet_cc_b0_4e", efficientnet._gen_efficientnet_condconv, **_NARROW),
    _effnet("efficientnet_es", efficientnet._gen_efficientnet_edge, **_NARROW),
    _effnet("efficientnet_lite0", efficientnet._gen_efficientnet_lite, **_NARROW),
    _effnet("efficientnetv2_s", efficientnet._gen_efficientnetv2_s, **_NARROW),
    _effnet("tf_efficientnetv2_b0", efficientnet._gen_efficientnetv2_base, **_NARROW, pad_type="same"),
    _effnet("fbnetc_100", efficientnet._gen_fbnetc, channel_multiplier=0.25),
    _effnet("mixnet_s", efficientnet._gen_mixnet_s, channel_multiplier=0.5),
    _effnet("mnasnet_100", efficientnet._gen_mnasnet_b1, channel_multiplier=0.25),
    _effnet("semnasnet_100", efficientnet._gen_mnasnet_a1, channel_multiplier=0.25),
    _effnet("spnasnet_100", efficientnet._gen_spnasnet, channel_multiplier=0.25),
    _effnet("mobilenet_edgetpu_100", efficientnet._gen_mobilenet_edgetpu, **_NARROW),
    _effnet("mobilenetv1_100", efficientnet._gen_mobilenet_v1, **_NARROW),
    _effnet("mobilenetv2_100", efficientnet._gen_mobilenet_v2, **_NARROW),
    _effnet("tinynet_e", efficientnet._gen_tinynet, model_width=0.25, depth_multiplier=0.1),
    _effnet("mobilenetv3_small_050", mobilenetv3._gen_mobilenet_v3, channel_multiplier=0.25),
    _effnet("fbnetv3_b", mobilenetv3._gen_fbnetv3, channel_multiplier=0.25),
    _effnet("lcnet_050", mobilenetv3._gen_lcnet, channel_multiplier=0.25),
    _effnet("mobilenetv4_conv_small", mobilenetv3._gen_mobilenet_v4, channel_multiplier=0.25),
    _effnet("mobilenetv4_conv_blur_medium", mobilenetv3._gen_mobilenet_v4, channel_multiplier=0.25, aa_layer="blurpc"),
    _effnet("mobilenetv4_hybrid_medium", mobilenetv3._gen_mobilenet_v4, 64, channel_multiplier=0.25),
    _effnet("mobilenetv5_base", mobilenetv5._gen_mobilenet_v5, 64, channel_multiplier=0.25),
)

MODELS = (*_TRANSFORMERS, *_PYRAMIDS, *_MIXERS, *_CONVNETS, *_MOBILE)
"""Every model of this list; `python -m tests.zoo timm` sweeps it."""
