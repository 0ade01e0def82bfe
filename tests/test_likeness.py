"""A compressed module looks like its model to what reads classes and signatures."""

import inspect
from copy import deepcopy

import torch
from torch import Tensor, nn

import scfx


class Model(nn.Module):
    """A model with a catch-all."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor, mask: Tensor | None = None, *, scale: float = 1.0, **others: Tensor) -> Tensor:
        result: Tensor = self.layer(x) * scale
        return result if mask is None else result * mask


def test_name_and_signature_are_the_models() -> None:
    net = scfx.compress(Model(), {"x": torch.randn(2, 4), "extra": torch.randn(2)})
    for each in (net, deepcopy(net)):
        assert isinstance(each, scfx.CompressedModule)
        assert type(each).__name__ == "Model"
        assert str(inspect.signature(each.forward)) == "(x, mask=None, *, scale=1.0, extra)"
        assert list(inspect.signature(type(each).forward).parameters)[:2] == ["self", "x"]


def test_a_first_argument_by_position_only() -> None:
    class Positional(nn.Linear):
        def forward(self, input: Tensor, /) -> Tensor:
            return super().forward(input)

    net = scfx.compress(Positional(4, 3), torch.randn(2, 4))
    assert str(inspect.signature(net.forward)) == "(input, /)"
