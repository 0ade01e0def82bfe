"""Layers and directions of recurrent networks stand alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import scfx
from scfx.passes.separate_recurrent import SeparateRecurrent
from tests.passes.tools import captured, check, program

# Of torch.nn.RNN's own: its list of weights holds what export puts in their place.
pytestmark = pytest.mark.filterwarnings("ignore:The tensor attribute:UserWarning")


class Recurrent(nn.Module):
    """Puts out everything that a recurrent layer returns."""

    def __init__(self, kind: Any, given: bool = False, **options: Any) -> None:
        super().__init__()
        self.layer = kind(4, 6, **options)
        self.given = given

    def forward(self, x: Tensor) -> Any:
        if not self.given:
            return self.layer(x)
        count = self.layer.num_layers * (2 if self.layer.bidirectional else 1)
        start = x.sum(0).sum(-1)[None, :, None].expand(count, x.shape[1], 6).contiguous()
        return self.layer(x, (start, start * 2) if isinstance(self.layer, nn.LSTM) else start)


def batch(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(5, size, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(size)),)


def batch_first(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(size, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(size)),)


@pytest.mark.parametrize("given", [False, True], ids=["zeros", "given"])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_layers_and_directions(kind: Any, given: bool) -> None:
    options = {"nonlinearity": "relu"} if kind is nn.RNN else {}
    model = Recurrent(kind, given, num_layers=2, bidirectional=True, **options).double()
    x = batch(3)
    toy = captured(model, *x)
    assert SeparateRecurrent()(toy.graph, toy.root) == 1
    for one, other in zip(toy.call(*x), torch.utils._pytree.tree_leaves(model(*x)), strict=True):
        torch.testing.assert_close(one, other)


def test_batch_first_and_projections() -> None:
    model = Recurrent(nn.LSTM, num_layers=2, bidirectional=True, proj_size=3, batch_first=True, bias=False).double()
    toy = check(model, batch_first, [SeparateRecurrent()], needs_grad=True)
    assert sum("lstm.input(" in line for line in program(toy.graph)) == 4


def test_dropout_between_layers() -> None:
    toy = captured(Recurrent(nn.GRU, num_layers=3, dropout=0.25).double(), *batch(3), train=True)
    SeparateRecurrent()(toy.graph, toy.root)
    assert sum("dropout.default(" in line and ", 0.25, True)" in line for line in program(toy.graph)) == 2


def test_one_layer_stays() -> None:
    toy = captured(Recurrent(nn.LSTM).double(), *batch(3))
    assert SeparateRecurrent()(toy.graph, toy.root) == 0


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.LSTM(4, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.layers(x)[0])
        return y


def test_each_layer_and_direction_has_hidden_channels_of_its_own() -> None:
    """With the candidate's rows at zero, a state stays at zero; gates that let it through have nothing to let."""
    model = Stack().double()
    net = scfx.compress(model, batch_first(2), quantize=False)
    candidate = slice(12, 18)  # of the gates for input, for forgetting, the candidate, and for output
    with torch.no_grad():
        for name, channels in (("l0", [1, 2]), ("l0_reverse", [5]), ("l1", [0]), ("l1_reverse", [2, 3, 4])):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                for module in (model, net):
                    module.get_parameter(f"layers.{kind}_{name}")[candidate][channels] = 0
    net.prune()
    shapes = {name: tuple(p.shape) for name, p in net.named_parameters() if "weight" in name}
    assert shapes == {
        "layers.weight_ih_l0": (16, 4), "layers.weight_hh_l0": (16, 4),
        "layers.weight_ih_l0_reverse": (20, 4), "layers.weight_hh_l0_reverse": (20, 5),
        "layers.weight_ih_l1": (20, 9), "layers.weight_hh_l1": (20, 5),
        "layers.weight_ih_l1_reverse": (12, 9), "layers.weight_hh_l1_reverse": (12, 3),
        "head.weight": (2, 8),
    }  # fmt: skip
    torch.testing.assert_close(net(*batch_first(3)), model(*batch_first(3)))
