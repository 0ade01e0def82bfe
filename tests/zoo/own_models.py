"""What people write themselves: each network is in tests/zoo/own, and what it is fed is here."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from examples.resnet20 import OptionAResNet
from tests.observation import Inputs
from tests.zoo.inputs import floats, ids, images, normal
from tests.zoo.model import ZooModel
from tests.zoo.own import attention, diffusion, sequences, sets, vision

CHECKPOINT = Path(__file__).parents[2] / "../shared/data/pretrained/cifar-resnet20.safetensors"
"""A trained CIFAR ResNet-20, see `OptionAResNet`; its random weights stand in where it is absent."""


def option_a_resnet20() -> nn.Module:
    """Return the CIFAR ResNet-20, with its trained weights where they are."""
    model = OptionAResNet()
    if CHECKPOINT.exists():
        model.load_state_dict(load_file(CHECKPOINT), strict=False)
    return model


def steps(batch: int, seed: int) -> Inputs:
    """Return images and the time step of each."""
    time = torch.randint(100, (batch,), generator=torch.Generator().manual_seed(seed))
    return {"x": normal(batch, 3, 8, 8, seed=seed), "time": time}


def masked_set(batch: int, seed: int) -> Inputs:
    """Return sets of elements, and which of them are there."""
    mask = torch.rand(batch, 6, generator=torch.Generator().manual_seed(seed)) > 0.3
    return {"elements": normal(batch, 6, 4, seed=seed), "mask": mask}


WORDS = ids(7, below=11)
TEXT = ids(8, below=attention.VOCABULARY)
TEXTS = ids(8, 8, below=attention.VOCABULARY)

MODELS: tuple[ZooModel, ...] = (
    ZooModel("own/resnet20_option_a", option_a_resnet20, images(32)),
    ZooModel("own/unet", vision.UNet, images(16)),
    ZooModel("own/style_transfer", vision.StyleTransfer, images(16)),
    ZooModel("own/squeeze_excite", vision.SqueezeExcite, images(8)),
    ZooModel("own/weight_norm", vision.WeightNormed, images(8)),
    ZooModel("own/spectral_norm", vision.SpectralNormed, images(8)),
    ZooModel("own/siamese", vision.Siamese, floats((3, 8, 8), (3, 8, 8))),
    ZooModel("own/vae", vision.Autoencoder, floats((1, 16, 16), (6,))),
    ZooModel("own/diffusion_unet", diffusion.DiffusionUNet, steps),
    ZooModel("own/nanogpt", attention.GPT, TEXTS),
    ZooModel("own/nanogpt_by_hand", lambda: attention.GPT(fused=False), TEXT),
    ZooModel("own/llama_by_hand", attention.Decoder, TEXT),
    ZooModel("own/mixture_of_experts", lambda: attention.Decoder(experts=True), TEXT),
    ZooModel("own/transformer", attention.Translator, ids(6, 5, below=attention.VOCABULARY)),
    ZooModel("own/transformer_norm_first", lambda: attention.Translator(first=True), TEXTS),
    ZooModel("own/lstm_tagger", sequences.Tagger, WORDS),
    ZooModel("own/lstm_tagger_deep", lambda: sequences.Tagger(layers=2), WORDS),
    ZooModel("own/lstm", lambda: sequences.LastState(nn.LSTM), floats((6, 5))),
    ZooModel("own/gru", lambda: sequences.LastState(nn.GRU), floats((6, 5))),
    ZooModel("own/gru_without_bias", lambda: sequences.LastState(nn.GRU, bias=False), floats((6, 5))),
    ZooModel("own/rnn", lambda: sequences.LastState(nn.RNN), floats((6, 5))),
    ZooModel("own/recurrence_by_hand", sequences.Recurrence, floats((5, 4))),
    ZooModel("own/recurrent_cells", sequences.Cells, floats((4, 4))),
    ZooModel("own/wavenet", sequences.WaveNet, ids(12, below=16)),
    ZooModel("own/pointnet", sets.PointNet, floats((3, 10))),
    ZooModel("own/deep_sets", sets.DeepSets, masked_set),
    ZooModel("own/mlp_mixer", sets.Mixer, images(16)),
)
