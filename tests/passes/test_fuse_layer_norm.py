"""Layer norms that are written out become the operator, in all the ways that people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import scfx
from scfx.passes.drop_assertions import DropAssertions
from scfx.passes.eliminate_dead_code import EliminateDeadCode
from scfx.passes.fuse_layer_norm import FuseLayerNorm
from tests.passes.tools import captured, check, program


class Written(nn.Module):
    """A norm over the last of three dims, or the second of four, written out."""

    def __init__(self, formula: Callable[[Tensor, Tensor, Tensor], Tensor], spatial: int = 0) -> None:
        super().__init__()
        self.formula, self.spatial = formula, spatial
        self.weight, self.bias = (nn.Parameter(torch.rand(6, dtype=torch.float64) + 0.5) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        for _ in range(self.spatial):
            weight, bias = weight[..., None], bias[..., None]
        return self.formula(x, weight, bias)

    def inputs(self, size: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(size)
        return (
            torch.randn((size, *((6, 3, 2) if self.spatial else (3, 6))), generator=generator, dtype=torch.float64),
        )


def with_rsqrt(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    return weight * ((x - mean) * torch.rsqrt((x - mean).pow(2).mean(-1, keepdim=True) + 0.1)).double() + bias


def with_variance(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    x = x.double()
    return (x - x.mean(-1, keepdim=True)) / (0.1 + x.var(-1, keepdim=True, unbiased=False)).sqrt() * weight + bias


def channels_first(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean(1, keepdim=True)
    return weight * (centred / torch.sqrt((centred * centred).mean(1, keepdim=True) + 0.1)) + bias


def without_bias(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean(-1, True)
    return centred * (centred**2).mean(-1, True).add(0.1).rsqrt() * weight * bias


def unbiased(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return weight * (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 0.1).sqrt() + bias


def other_mean(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred * torch.rsqrt((x**2).mean(-1, keepdim=True) + 0.1) * weight + bias


def other_dims(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred * torch.rsqrt((centred**2).mean((1, 2), keepdim=True) + 0.1) * weight + bias


STEPS = [DropAssertions(), FuseLayerNorm(), EliminateDeadCode()]


@pytest.mark.parametrize("formula", [with_rsqrt, with_variance])
def test_scale_and_shift_become_the_operators_own(formula: Callable[..., Tensor]) -> None:
    model = Written(formula)
    lines = program(check(model, model.inputs, STEPS, needs_grad=True).graph)
    assert len(lines) <= 3
    assert lines[-2].endswith("[6], weight, bias, 0.1)")


def test_channels_in_front_of_space_are_moved_behind_it() -> None:
    model = Written(channels_first, spatial=2)
    assert [
        line.split(" = ")[1] for line in program(check(model, model.inputs, STEPS, needs_grad=True).graph)[:-1]
    ] == [
        "transpose.int(x, 1, 3)",
        "layer_norm.default(transpose_int, [6], weight, bias, 0.1)",
        "transpose.int(layer_norm_default, 1, 3)",
    ]


def test_what_is_no_shift_stays_outside() -> None:
    model = Written(without_bias)
    lines = program(check(model, model.inputs, STEPS, needs_grad=True).graph)
    assert [line.split(" = ")[1].split("(")[0] for line in lines[:-1]] == ["layer_norm.default", "mul.Tensor"]


@pytest.mark.parametrize("formula", [unbiased, other_mean, other_dims])
def test_what_is_no_layer_norm_stays(formula: Callable[..., Tensor]) -> None:
    model = Written(formula)
    toy = captured(model, *model.inputs(3))
    assert FuseLayerNorm()(toy.graph, toy.root) == 0


def test_channels_behind_such_a_norm_can_go() -> None:
    model = nn.Sequential(nn.Linear(4, 6).double(), Written(with_rsqrt), nn.Linear(6, 2).double())
    with torch.no_grad():
        for parameter in (*model[0].parameters(), *model[1].parameters()):
            parameter[2] = 0
    x = torch.randn(2, 4, dtype=torch.float64)
    net = scfx.compress(model, x, quantize=False)
    expected = model(x)
    net.prune()
    assert dict(net.named_parameters())["0.weight"].shape == (5, 4)
    torch.testing.assert_close(net(x), expected)
