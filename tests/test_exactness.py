"""Pruning changes nothing that published convolutional networks compute, and reaches nearly all of their channels."""

import numpy as np
import pytest
import torch
from torch import nn

import scfx
from tests.observation import OneThread
from tests.oracle import check_well_conditioned
from tests.zoo import own_models, torchvision_models
from tests.zoo.model import ZooModel
from tests.zoo.torchvision_convolutional import torchvision_model

MODELS = (*torchvision_models.MODELS, *own_models.MODELS)
QUICK = [pytest.param(model, id=model.name) for model in MODELS if model.quick]

pytestmark = pytest.mark.zoo


@pytest.mark.slow
@pytest.mark.parametrize("model", QUICK)
def test_pruning_is_exact(model: ZooModel) -> None:
    outcome = check_well_conditioned(
        model.settled, model.inputs, seed=0, name=model.name, thorough=False, everything_first=True
    )
    assert outcome.spared <= 0, f"{outcome.spared} channels were zero in every parameter and stayed"
    assert outcome.removed > 0.3 * outcome.weights[0], f"only {outcome.removed} of {outcome.weights[0]} weights removed"


def prunable_share(graph: scfx.ChannelGraph, model: nn.Module) -> float:
    """Return the prunable share of the non-kernel dimensions, averaged over the weights in proportion to their size.

    The share of a dimension is the share of its indices that belong to an unpinned axis of more than one channel. The
    weight of a convolution or linear layer counts the mean of its first two dimensions; a depthwise weight has nothing
    to prune in its second one. Biases and norm parameters, which have one dimension, do not count.
    """
    prunable: dict[tuple[str, int], set[int]] = {}
    for axis in graph.axes:
        if axis.pinned is None and axis.size > 1:
            for member in axis.members:
                indices = np.concatenate([member.indices(channel) for channel in range(axis.size)])
                prunable.setdefault((member.name, member.dim), set()).update(indices.tolist())
    total = share = 0.0
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            total += weight.numel()
            for dim in (0, 1):
                share += weight.numel() * len(prunable.get((name, dim), ())) / weight.shape[dim] / 2
    return share / total


@OneThread()
@pytest.mark.parametrize(("name", "percent"), [("resnet50", 96), ("densenet121", 93), ("mobilenet_v2", 81)])
def test_prunable_share(name: str, percent: int) -> None:
    """Logits, image channels and the 1 of depthwise weights are the rest: see `test_share_by_hand`."""
    model = torchvision_model(name).eval()
    graph = scfx.channel_graph(model, torch.zeros(2, 3, 32, 32), dynamic=False)
    assert round(100 * prunable_share(graph, model)) == percent


@pytest.mark.parametrize(("name", "percent"), [("resnet50", 96), ("densenet121", 93), ("mobilenet_v2", 81)])
def test_share_by_hand(name: str, percent: int) -> None:
    """If all dimensions but image channels, logits and ones can be pruned, this is the share."""
    with torch.device("meta"):
        weights = [p for p in torchvision_model(name).parameters() if p.ndim > 1]
    total = sum(weight.numel() for weight in weights)
    depthwise = sum(weight.numel() for weight in weights if weight.shape[1] == 1)
    rest = weights[0].numel() + weights[-1].numel() + depthwise
    assert round(100 * (1 - rest / 2 / total)) == percent
