"""timm's convolutional networks."""

from functools import partial
from typing import Any

from timm.layers.norm_act import GroupNormAct
from timm.layers.std_conv import StdConv2d
from timm.models import resnetv2, vgg
from torch import nn

from tests.zoo.timm_building import FOUR, ONE_EACH, built, byob, listed

_RESNET: dict[str, Any] = {**ONE_EACH, "channels": (16, 16, 32, 32)}


def _big_transfer(**options: Any) -> nn.Module:
    """Make a BiT network: standardised weights, and group norms in front of the activations."""
    norm, conv = partial(GroupNormAct, num_groups=4), partial(StdConv2d, eps=1e-8)
    model: nn.Module = resnetv2.ResNetV2(norm_layer=norm, conv_layer=conv, stem_type="fixed", **options)
    return model


MODELS = (
    listed("convnext_atto", 64, **FOUR),
    listed("convnext_zepto_rms", 64, **FOUR),
    listed("convnext_tiny_hnf", 64, **FOUR),
    listed("convnextv2_atto", 64, **FOUR),
    listed("test_convnext3"),
    listed(
        "rdnet_tiny",
        64,
        num_init_features=16,
        growth_rates=[8] * 4,
        num_blocks_list=[1] * 4,
        is_downsample_block=(None, True, True, True),
        block_type=["Block", "Block", "BlockESE", "BlockESE"],
    ),
    *(
        listed(name, **_RESNET)
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
    listed("resnet50_gn", **ONE_EACH, channels=(32, 32, 64, 64), stem_width=32),
    listed("resnest50d_4s2x40d", **ONE_EACH, channels=(64, 64, 64, 64)),
    listed("legacy_seresnet18", layers=(1, 1, 1, 1)),
    *(
        listed(name, layers=[1, 1], channels=(128, 128), stem_chs=64)
        for name in ("resnetv2_18", "resnetv2_50d_gn", "resnetv2_50d_evos", "resnetv2_50d_frn")
    ),
    built("resnetv2_50x1_bit", _big_transfer, layers=[1, 1], channels=(32, 64), stem_chs=8),
    *(
        listed(
            name,
            depths=(1, 1, 1, 1),
            channels=(16, 16, 32, 32),
            stem_chs=16,
            num_features=48,
            group_size=group_size,
        )
        for name, group_size in {
            "test_nfnet": None,
            "dm_nfnet_f0": 8,
            "eca_nfnet_l0": 8,
            "nf_regnet_b0": 8,
            "nf_resnet26": None,
            "nf_seresnet26": None,
        }.items()
    ),
    *(
        byob(name, narrow=narrow)
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
    byob("resnet50_clip", 64, img_size=64),
    byob("bat_resnext26ts", 64, 2, attn_kwargs={"block_size": 2}),
    byob("botnet26t", 64),
    byob("sebotnet33ts", 64, img_size=64),
    byob("halonet26t", 64, self_attn_kwargs={"block_size": 2, "halo_size": 1}),
    byob("lambda_resnet26t", 64),
    byob("lambda_resnet26rpt_256", 64, img_size=64),
    byob("haloregnetz_b", 64, 1, self_attn_kwargs={"block_size": 2, "halo_size": 1}),
    listed("regnetx_002", depth=8, w0=8, wa=8.0, wm=2.0, group_size=8),
    listed("regnety_002", depth=8, w0=8, wa=8.0, wm=2.0, group_size=8),
    listed("regnetz_005", depth=8, w0=8, wa=8.0, wm=2.0, group_size=8),
    listed("regnetv_040", depth=8, w0=8, wa=8.0, wm=2.0, group_size=8),
    listed("cspresnet50"),
    listed("cspdarknet53"),
    listed("cs3darknet_focus_s"),
    listed("cs3se_edgenet_x"),
    listed("darknet17"),
    listed("cspnext_tiny"),
    listed("densenet121", block_config=(2, 2), growth_rate=8),
    listed("densenetblur121d", block_config=(2, 2), growth_rate=8),
    listed("dla34", channels=(8, 8, 16, 16, 32, 32)),
    listed("dla46x_c"),
    listed("dla60_res2net", levels=(1, 1, 1, 1, 1, 1), channels=(8, 8, 16, 16, 32, 32)),
    listed("dpn48b", k_sec=(1, 1, 1, 1)),
    listed("dpn68", k_sec=(1, 1, 1, 1)),
    listed("hrnet_w18_small"),
    listed("hgnet_tiny"),
    listed("hgnetv2_b0"),
    listed("vovnet39a"),
    listed("ese_vovnet19b_slim_dw"),
    built("vgg11", vgg.VGG, cfg=[8, "M", 16, "M", 16, "M"], mlp_ratio=0.01),
    listed("xception41"),
    listed("xception41p"),
    listed("legacy_xception"),
    listed("inception_v3", 96),
    listed("nasnetalarge", 64, num_features=384, stem_size=8),
    listed("selecsls42"),
    listed("tresnet_m", 64, layers=[1, 1, 1, 1], width_factor=0.25),
    listed("rexnet_100"),
    listed("rexnetr_100"),
    listed("ghostnet_050"),
    listed("ghostnetv2_100", 64),
    listed("ghostnetv3_050", 64),
    listed("repghostnet_050"),
    listed("lcnetv2_small", scale=0.25, depths=(1, 1, 1, 1), head_hidden_size=48),
    listed("hardcorenas_a"),
)
