"""timm's mobile and efficient networks, generated from tables of stages."""

from typing import Any

from timm.models import efficientnet, mobilenetv3, mobilenetv5

from tests.zoo.timm_building import effnet, listed

_NARROW: dict[str, Any] = {"channel_multiplier": 0.25, "depth_multiplier": 0.1}

MODELS = (
    listed("test_efficientnet"),
    listed("test_efficientnet_gn"),
    listed("test_efficientnet_ln"),
    listed("test_efficientnet_evos"),
    effnet("efficientnet_b0", efficientnet._gen_efficientnet, **_NARROW),
    effnet("efficientnet_blur_b0", efficientnet._gen_efficientnet, **_NARROW, aa_layer="blurpc"),
    effnet("efficientnet_cc_b0_4e", efficientnet._gen_efficientnet_condconv, **_NARROW),
    effnet("efficientnet_es", efficientnet._gen_efficientnet_edge, **_NARROW),
    effnet("efficientnet_lite0", efficientnet._gen_efficientnet_lite, **_NARROW),
    effnet("efficientnetv2_s", efficientnet._gen_efficientnetv2_s, **_NARROW),
    effnet("tf_efficientnetv2_b0", efficientnet._gen_efficientnetv2_base, **_NARROW, pad_type="same"),
    effnet("fbnetc_100", efficientnet._gen_fbnetc, channel_multiplier=0.25),
    effnet("mixnet_s", efficientnet._gen_mixnet_s, channel_multiplier=0.5),
    effnet("mnasnet_100", efficientnet._gen_mnasnet_b1, channel_multiplier=0.25),
    effnet("semnasnet_100", efficientnet._gen_mnasnet_a1, channel_multiplier=0.25),
    effnet("spnasnet_100", efficientnet._gen_spnasnet, channel_multiplier=0.25),
    effnet("mobilenet_edgetpu_100", efficientnet._gen_mobilenet_edgetpu, **_NARROW),
    effnet("mobilenetv1_100", efficientnet._gen_mobilenet_v1, **_NARROW),
    effnet("mobilenetv2_100", efficientnet._gen_mobilenet_v2, **_NARROW),
    effnet("tinynet_e", efficientnet._gen_tinynet, model_width=0.25, depth_multiplier=0.1),
    effnet("mobilenetv3_small_050", mobilenetv3._gen_mobilenet_v3, channel_multiplier=0.25),
    effnet("fbnetv3_b", mobilenetv3._gen_fbnetv3, channel_multiplier=0.25),
    effnet("lcnet_050", mobilenetv3._gen_lcnet, channel_multiplier=0.25),
    effnet("mobilenetv4_conv_small", mobilenetv3._gen_mobilenet_v4, channel_multiplier=0.25),
    effnet("mobilenetv4_conv_blur_medium", mobilenetv3._gen_mobilenet_v4, channel_multiplier=0.25, aa_layer="blurpc"),
    effnet("mobilenetv4_hybrid_medium", mobilenetv3._gen_mobilenet_v4, 64, channel_multiplier=0.25),
    effnet("mobilenetv5_base", mobilenetv5._gen_mobilenet_v5, 64, channel_multiplier=0.25),
)
