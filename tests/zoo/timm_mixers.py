"""timm's networks that mix tokens by something else than attention."""

from typing import Any

from timm.layers.mlp import GatedMlp, GluMlp
from timm.layers.norm import GroupNorm1
from timm.models import convmixer, focalnet, metaformer, mlp_mixer
from torch import nn

from tests.zoo.timm_building import FOUR, built, listed

_MIXER: dict[str, Any] = {"img_size": 16, "patch_size": 4, "num_blocks": 1, "embed_dim": 64}

MODELS = (
    built("mixer_s32_224", mlp_mixer.MlpMixer, 16, **_MIXER),
    built("gmixer_12_224", mlp_mixer.MlpMixer, 16, **_MIXER, mlp_ratio=(1.0, 4.0), mlp_layer=GluMlp, act_layer=nn.SiLU),
    built(
        "resmlp_12_224",
        mlp_mixer.MlpMixer,
        16,
        **_MIXER,
        mlp_ratio=4,
        block_layer=mlp_mixer.ResBlock,
        norm_layer=mlp_mixer.Affine,
    ),
    built(
        "gmlp_ti16_224",
        mlp_mixer.MlpMixer,
        16,
        **_MIXER,
        mlp_ratio=6,
        block_layer=mlp_mixer.SpatialGatingBlock,
        mlp_layer=GatedMlp,
    ),
    listed(
        "sequencer2d_s",
        img_size=32,
        layers=[1, 1],
        patch_sizes=[4, 2],
        embed_dims=[16, 24],
        hidden_sizes=[8, 8],
        mlp_ratios=[2, 2],
    ),
    built(
        "poolformer_s12",
        metaformer.MetaFormer,
        64,
        **FOUR,
        downsample_norm=None,
        mlp_act=nn.GELU,
        mlp_bias=True,
        norm_layers=GroupNorm1,
        layer_scale_init_values=1e-5,
        res_scale_init_values=None,
        use_mlp_head=False,
    ),
    built(
        "poolformerv2_s12",
        metaformer.MetaFormer,
        64,
        **FOUR,
        norm_layers=metaformer.GroupNorm1NoBias,
        use_mlp_head=False,
    ),
    built(
        "convformer_s18",
        metaformer.MetaFormer,
        64,
        **FOUR,
        token_mixers=metaformer.SepConv,
        norm_layers=metaformer.LayerNorm2dNoBias,
    ),
    built(
        "caformer_s18",
        metaformer.MetaFormer,
        64,
        **FOUR,
        token_mixers=[metaformer.SepConv] * 2 + [metaformer.Attention] * 2,
        norm_layers=[metaformer.LayerNorm2dNoBias] * 2 + [metaformer.LayerNormNoBias] * 2,
    ),
    listed("mambaout_femto", 64, **FOUR),
    built("focalnet_tiny_srf", focalnet.FocalNet, 64, depths=[1, 1, 1, 1], embed_dim=8),
    built(
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
    listed("inception_next_atto", 64, depths=(1, 1, 1, 1), dims=(16, 24, 32, 40)),
    built("convmixer_768_32", convmixer.ConvMixer, dim=32, depth=2, kernel_size=5, patch_size=2),
    listed("fasternet_t0", 64, embed_dim=16, depths=(1, 1, 1, 1), feature_dim=40),
    listed("starnet_s050", 64, depths=[1, 1, 1, 1]),
)
