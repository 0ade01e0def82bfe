"""The pass of zeros goes on from those before it: it finds what a fresh one does, and looks only at changes."""

import operator

import numpy as np
import pytest
import torch

import scfx
from scfx.graph.channels import ChannelGraph
from scfx.removal import zeros
from scfx.removal.dead import Dead, find_dead
from tests.toys import Residual, images


def summary(graph: ChannelGraph, dead: Dead) -> list[object]:
    """What was found, by the number of each axis: two graphs of one program have axes of their own."""
    numbers = graph._prunable
    found: list[object] = [
        sorted((numbers[axis], mask.tolist()) for axis, mask in masks.items() if mask.any())
        for masks in (dead.removable, dead.blocked)
    ]
    return [*found, {name: mask.tolist() for name, mask in dead.blockers.items()}]


def change(net: scfx.CompressedModule, random: np.random.Generator) -> None:
    """Makes entries of some tensors zero, or something else, and takes or gives bits."""
    tensors = [tensor for tensor in net.state_dict(keep_vars=True).values() if tensor.dim() and tensor.numel() > 1]
    with torch.no_grad():
        for number in random.choice(len(tensors), 12, replace=False):
            tensor = tensors[number]
            index = int(random.integers(min(tensor.shape[0], 3)))
            tensor[index] = 0 if random.random() < 0.8 else 1
        for _, quantizer in net.quantizers():
            if random.random() < 0.5:
                quantizer.bits[int(random.integers(2))] = 0.0


@pytest.mark.parametrize("quantize", [True, False])
def test_going_on_finds_what_a_fresh_pass_finds(quantize: bool) -> None:
    net = scfx.compress(Residual(6).double(), images(2), dynamic=False, quantize=quantize)
    random = np.random.default_rng(0)
    seen = []
    for _ in range(6):
        change(net, random)
        graph, fresh = net.channels, ChannelGraph(net._program)
        seen.append(summary(graph, find_dead(graph)))
        assert seen[-1] == summary(fresh, find_dead(fresh))
    assert len({str(each) for each in seen}) > 3, "hardly anything has changed"


def test_what_has_not_changed_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    net = scfx.compress(Residual(6).double(), images(2), dynamic=False)
    with torch.no_grad():
        for _, quantizer in net.quantizers():
            quantizer.bits[0] = 0
    asked: list[str] = []
    make = zeros._made

    def made(step, operands, shape):  # type: ignore[no-untyped-def]
        asked.append(step.call.node.name)
        return make(step, operands, shape)

    monkeypatch.setattr(zeros, "_made", made)
    graph = net.channels
    dead = find_dead(graph)
    first = len(asked)
    asked.clear()
    before = [passed for passes in graph._inference.passes.values() for passed in passes]
    find_dead(graph, dead.removable)
    after = [passed for passes in graph._inference.passes.values() for passed in passes]
    assert first > 40
    assert not asked
    assert len(after) == len(before)
    assert all(map(operator.is_, before, after))
    with torch.no_grad():
        net.get_parameter("block1.conv1.weight_quantizer.bits")[1] = 0
    find_dead(graph, dead.removable)
    assert 0 < len(asked) < first / 2
