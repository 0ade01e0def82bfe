"""Branches on random numbers: decided where that is sound or likely, said so where it is not sure."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import scfx
from scfx.capture.capture import capture
from scfx.capture.chance import Chance
from scfx.capture.program import graph_module
from scfx.errors import CaptureError
from tests.captured import X

DRAWS: dict[str, Callable[[float], Any]] = {
    "tensor": lambda p: torch.rand([]) < p,
    "reversed": lambda p: p > torch.rand(1),
    "item": lambda p: torch.rand(1).item() < p,
    "kept": lambda p: not (torch.rand(()) >= p),
    "uniform": lambda p: torch.empty(1).uniform_(0, 2) < 2 * p,
    "coin": lambda p: torch.empty(()).bernoulli_(p).bool(),
}


class Dropping(nn.Module):
    """Two layers, each dropped with some probability while training, and dropout behind them."""

    def __init__(self, drawn: Callable[[float], Any], p: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
        self.dropout = nn.Dropout(0.5)
        self.drawn, self.p = drawn, p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            if self.training and self.drawn(self.p):
                continue
            x = layer(x)
        result: torch.Tensor = self.dropout(x)
        return result


class DataBranch(nn.Module):
    """A branch on the data in training only, under a module with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y * 2 if self.training and y.sum() > 0 else y


@pytest.mark.parametrize("name", DRAWS)
def test_what_has_no_chance_is_never_taken_and_nothing_is_lost(name: str) -> None:
    program = capture(Dropping(DRAWS[name], 0.0), X)  # a warning would be an error here
    assert program.notes == ()
    used = {node.target for node in program.graphs["train"].nodes if node.op == "get_attr"}
    assert {"layers.0.weight", "layers.1.weight"} <= used


@pytest.mark.parametrize("name", DRAWS)
def test_the_likelier_way_is_taken_with_a_warning(name: str) -> None:
    with pytest.warns(UserWarning, match=r"decides by chance at .*test_chance\.py.*of probability 0\.25"):
        graph = scfx.channel_graph(Dropping(DRAWS[name], 0.25), X)
    assert "decides by chance" in str(graph.report())
    used = {node.target for node in graph._program.graphs["train"].nodes if node.op == "get_attr"}
    assert {"layers.0.weight", "layers.1.weight"} <= used
    with pytest.warns(UserWarning, match=r"of probability 0\.25"):
        program = capture(Dropping(DRAWS[name], 0.75), X)
    used = {node.target for node in program.graphs["train"].nodes if node.op == "get_attr"}
    assert not used


def test_numbers_are_drawn_as_before() -> None:
    torch.manual_seed(0)
    model = Dropping(DRAWS["tensor"], 0.0)
    module = graph_module(capture(model, X), "train")
    outputs = []
    for one in (model.train(), module):
        torch.manual_seed(5)
        outputs.append(one(X))
    assert torch.equal(outputs[0], outputs[1][0])


@pytest.mark.parametrize(("source", "draw"), [("Python's random", random.random), ("numpy.random", np.random.rand)])
def test_numbers_drawn_outside_of_torch_are_fixed_and_that_is_said(source: str, draw: Callable[[], float]) -> None:
    states = random.getstate(), repr(np.random.get_state())
    with pytest.warns(UserWarning, match=f"draws from {source} in train mode: the graph has what was drawn at capture"):
        capture(Dropping(lambda p: draw() < p, 0.0), X)
    assert states == (random.getstate(), repr(np.random.get_state()))


def test_more_than_one_number_and_data_are_not_decided() -> None:
    with Chance() as chance:
        several, data = torch.rand(4), torch.ones(1)
        assert bool((several < 2).all())
        assert bool(data < 2)
        assert bool(torch.rand(1) * 0 + data < 2)
    assert not chance.decisions
    with Chance() as chance:
        number = torch.rand(1).item()
        assert 0 <= number * 1.0 + 0.0 <= 1
        assert -number <= 0
        assert float(number) >= 0
    assert not chance.decisions


def test_a_branch_on_data_in_training_is_offered_the_eval_graph() -> None:
    with pytest.raises(CaptureError, match="train_as_eval=True") as caught:
        capture(DataBranch(), X)
    assert "return y * 2 if self.training and y.sum() > 0 else y" in str(caught.value)
    model = DataBranch()
    net = scfx.compress(model, X, quantize=False, train_as_eval=True)
    assert torch.equal(net.eval()(X), model.eval()(X))
    torch.manual_seed(1)
    trained = net.train()(X)
    torch.manual_seed(1)
    assert torch.equal(trained, model.layer.train()(X))
    assert type(model) is DataBranch
