"""Pruning changes nothing that published networks compute, and reaches nearly all of their channels."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import scfx
from tests.observation import OneThread
from tests.oracle import check_well_conditioned
from tests.zoo.model import ZooModel
from tests.zoo.registry import LISTS, models
from tests.zoo.torchvision_convolutional import torchvision_model
from tests.zoo.torchvision_reduced import BUILDERS

pytestmark = pytest.mark.zoo


def quick(source: str) -> list[Any]:
    """The models of a source that stand for the others; where its package is absent, one that is skipped by name."""
    try:
        return [pytest.param(model, id=model.name) for model in models(source) if model.quick]
    except ModuleNotFoundError as error:
        return [pytest.param(None, id=source, marks=pytest.mark.skip(f"there is no {error.name}"))]


@pytest.mark.slow
@pytest.mark.parametrize("model", [parameter for source in LISTS for parameter in quick(source)])
def test_pruning_is_exact(model: ZooModel) -> None:
    """A tenth of the zoo; `python -m tests.zoo` does all of it. Where everything of a channel is zero, it goes."""
    outcome = check_well_conditioned(
        model.settled, model.inputs, seed=0, rounds=2, name=model.name, thorough=False, everything_first=True,
        dynamic=False,
    )  # fmt: skip
    assert outcome.spared <= 0, f"{outcome.spared} channels were zero in every parameter and stayed"
    assert outcome.removed > 0.2 * outcome.weights[0], f"only {outcome.removed} of {outcome.weights[0]} weights removed"


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


def share_by_hand(model: nn.Module) -> float:
    """Return the share if all dimensions but image channels, logits and the 1 of depthwise weights can be pruned."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    total = sum(weight.numel() for weight in weights)
    depthwise = sum(weight.numel() for weight in weights if weight.shape[1] == 1)
    rest = weights[0].numel() + weights[-1].numel() + depthwise
    return 1 - rest / 2 / total


@OneThread()
@pytest.mark.parametrize("name", ["resnet", "densenet", "mobilenet_v2"])
def test_prunable_share(name: str) -> None:
    with torch.device("meta"):
        model = BUILDERS[name]().eval()
        graph = scfx.channel_graph(model, torch.empty(2, 3, 32, 32), dynamic=False)
    assert prunable_share(graph, model) == pytest.approx(share_by_hand(model))


@pytest.mark.parametrize(("name", "percent"), [("resnet50", 96), ("densenet121", 93), ("mobilenet_v2", 81)])
def test_share_by_hand(name: str, percent: int) -> None:
    """What that comes to in published networks, of 1000 classes."""
    with torch.device("meta"):
        assert round(100 * share_by_hand(torchvision_model(name))) == percent
