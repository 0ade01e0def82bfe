"""Where quantizers start: near the weights, closer than exponents that only cover them, and ready to learn."""

import math

import pytest
import torch
from torch import Tensor

from scfx.nodes.fake_quantize import grouped, reference_quantize
from scfx.nodes.quantizer import Quantizer
from tests.nodes.test_quantizer import CASES


def covering(weight: Tensor, bits: float) -> Tensor:
    """The exponents, in the shape of the pairs, that hold a weight whose channels lie along the first dim."""
    rows = weight.flatten(1)
    scale = torch.maximum(rows.amax(1) / (2 ** (bits - 1) - 1), -rows.amin(1) / 2 ** (bits - 1))
    return torch.log2(scale) + 1e-12


def errors(weight: Tensor, bits: float, exponent: Tensor) -> Tensor:
    """The squared error of each channel, of channels along the first dim."""
    quantized = reference_quantize(weight, torch.full_like(exponent, bits), exponent, 0)
    return (quantized - weight).square().flatten(1).sum(1)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("bits", [2.0, 3.0, 8.0, 16.0])
def test_the_start_is_no_worse_than_covering_and_cuts_little(name: str, bits: float) -> None:
    shape, dim, groups = CASES[name]
    weight = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).mul_(3)
    quantizer = Quantizer(weight, dim, groups, bits)
    x, pairs = grouped(weight, quantizer.dims, quantizer.bits.numel())
    channels = [axis for axis, size in enumerate(pairs) if size != 1] or [0]
    rows = x.movedim(channels, list(range(len(channels)))).reshape(len(quantizer.bits), -1)
    cover = covering(rows, bits)
    assert (errors(rows, bits, quantizer.exponent) <= errors(rows, bits, cover) * (1 + 1e-5) + 1e-18).all()
    assert ((quantizer.exponent - cover).abs() <= 0.25 + 1e-9).all()
    assert (quantizer.bits == bits).all()


def test_few_bits_start_much_closer_and_many_cut_nothing() -> None:
    weight = torch.randn(64, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    few, many = Quantizer(weight, 0, bits=3.0), Quantizer(weight, 0)
    ratio = errors(weight, 3.0, few.exponent).sum() / errors(weight, 3.0, covering(weight, 3.0)).sum()
    assert 0.5 < ratio.item() < 0.75
    assert ((many(weight) - weight).abs() <= many.scale(weight) / 2 * (1 + 1e-9)).all()
    assert many.integers(weight).amin().item() == -128


def test_channels_of_zeros_and_weights_of_zeros_start_ready_to_learn() -> None:
    weight = torch.zeros(3, 4)
    fresh = Quantizer(weight, 0)
    assert fresh.exponent.tolist() == pytest.approx([math.log2(0.5 / 127)] * 3, rel=1e-6)
    weight[1, 2] = 2.0
    some = Quantizer(weight, 0)
    assert some.exponent.tolist() == pytest.approx([math.log2(2 / 127)] * 3, rel=1e-6)
    assert not some.silent().any()
    assert torch.allclose(some(weight), weight, rtol=1e-5)
    assert Quantizer(torch.zeros(3, 0), 0).exponent.isfinite().all()


def test_the_largest_weights_start_inside_the_range_and_learn() -> None:
    """On the bound itself, rounding would leave about every other one outside, without a gradient."""
    weight = torch.randn(200, 6, generator=torch.Generator().manual_seed(0)).exp2()
    for sign in (1, -1):
        leaf = (sign * weight).requires_grad_()
        quantizer = Quantizer(leaf, 0)
        quantizer(leaf).sum().backward()
        assert leaf.grad is not None
        assert (leaf.grad == 1).all()
        assert not quantizer.bits.grad.any()  # type: ignore[union-attr]


@pytest.mark.parametrize("largest", [1e-44, 3e38])
def test_extreme_weights_stay_finite(largest: float) -> None:
    weight = torch.tensor([[0.0, largest], [-largest, largest / 3]], requires_grad=True)
    quantizer = Quantizer(weight, 0)
    out = quantizer(weight)
    out.sum().backward()
    assert quantizer.exponent.grad is not None
    assert torch.isfinite(out).all()
    assert torch.isfinite(quantizer.exponent.grad).all()
