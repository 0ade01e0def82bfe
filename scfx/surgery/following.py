"""Copies that go along: an average of the weights loses the channels that the network loses, in the same step.

A copy whose entries are averages over time, as `torch.optim.swa_utils.AveragedModel` keeps them, is not ready to lose a
channel when the network is: its bit depths and biases there are still on their way to zero. So it is told at once. From
the step on which channels can go, what the copy has on them is what the network has, whether they go then or later; for
these channels the network's zeros are then the copy's, and what holds for the one holds for the other.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from scfx.errors import InputError, PlanError
from scfx.removal.dead import all_entries
from scfx.removal.zero_facts import Channels, fetch

if TYPE_CHECKING:
    from scfx.module import CompressedModule


def enlist(module: CompressedModule, other: nn.Module, kind: type[CompressedModule]) -> None:
    """From now on the copies of a compressed module that are the other module, or parts of it, are its followers.

    Raises:
        InputError: There are none.
    """
    found = [each for each in other.modules() if isinstance(each, kind) and each is not module]
    copies = [each for each in found if _outline(each) == _outline(module)]
    if not copies:
        raise InputError(
            f"the {type(other).__name__} holds no copy of this compressed module as it is now"
            + (", only another one: other parameters, shapes or channels" if found else "")
            + ". Make it by copy.deepcopy(net) or torch.optim.swa_utils.AveragedModel(net), and load a state into "
            "both before"
        )
    known = module.followers()
    for each in copies:
        if all(each is not follower for follower in known):
            module._followers.append(weakref.ref(each))
            each._training.follows = True
            each._training.observe(each)


def check_alike(module: CompressedModule, follower: CompressedModule) -> None:
    """Checks that a follower has what the module has, so that a plan for the one fits the other.

    Raises:
        PlanError: It has not.
    """
    if _outline(follower) != _outline(module):
        raise PlanError(
            "a copy that is to lose the channels that this module loses has other shapes by now: it must not be pruned "
            "by itself, and a state that is narrower has to be loaded into this module first"
        )


@torch.no_grad()
def hand_over(module: CompressedModule, follower: CompressedModule, channels: Channels) -> None:
    """What the follower has on some channels becomes what the module has there."""
    for name, masks in all_entries(module.channels, channels).items():
        source, target = (fetch(each._program.root, name).detach() for each in (module, follower))
        for dim, mask in enumerate(masks):
            if mask is not None and mask.any():
                index = torch.from_numpy(np.flatnonzero(mask))
                values = source.index_select(dim, index.to(source.device))
                target.index_copy_(dim, index.to(target.device), values.to(target))


def _outline(module: CompressedModule) -> object:
    """What two modules must have in common for one plan to fit both."""
    shapes = {name: tuple(tensor.shape) for name, tensor in module._own_state().items()}
    nodes = {mode: [node.name for node in graph.nodes] for mode, graph in module._program.graphs.items()}
    kept = {key: index.tolist() for key, index in module._widths.kept.items()}
    return shapes, nodes, kept
