"""The quantizer against its formula in plain torch, and its promises about dead channels."""

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor, nn

from scfx.errors import InputError, ModelError
from scfx.nodes.fake_quantize import reference_quantize
from scfx.nodes.quantizer import MAX_BITS, Quantizer, bound_quantizers_

CASES = {
    "linear": ((5, 7), 0, 1),
    "conv2d": ((6, 3, 3, 3), 0, 1),
    "transposed": ((4, 6, 3, 3), 1, 1),
    "grouped transposed": ((4, 3, 2, 2), 1, 2),
    "embedding": ((9, 4), -1, 1),
    "vector": ((5,), 0, 1),
    "one channel": ((1, 1, 3), 0, 1),
}


def away_from_ties(quantizer: Quantizer, weight: Tensor, generator: torch.Generator) -> Tensor:
    """Returns weights whose scaled values are in, below and above their range, but at no tie and at no bound."""
    codes = torch.randint(-9, 10, weight.shape, generator=generator)
    offset = torch.rand(weight.shape, generator=generator, dtype=weight.dtype) * 0.8 - 0.4
    return (codes + offset + 1e-3) * quantizer.scale(weight)


def trained(quantizer: Quantizer, generator: torch.Generator) -> Quantizer:
    """Returns the quantizer with scattered depths (0.3 to 4.3) and exponents, as training would leave it."""
    with torch.no_grad():
        quantizer.bits.uniform_(0.3, 4.3, generator=generator)
        quantizer.exponent.add_(torch.empty_like(quantizer.exponent).normal_(generator=generator))
    return quantizer


@pytest.mark.parametrize("name", CASES)
def test_value_and_all_three_gradients_are_those_of_the_formula(name: str) -> None:
    shape, dim, groups = CASES[name]
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, dtype=torch.float64, generator=generator)
    quantizer = trained(Quantizer(start, dim, groups), generator)
    weight = away_from_ties(quantizer, start, generator).requires_grad_()
    upstream = torch.randn(shape, dtype=torch.float64, generator=generator)
    inputs = (weight, quantizer.bits, quantizer.exponent)

    out, expected = quantizer(weight), reference_quantize(weight, quantizer.bits, quantizer.exponent, quantizer.dims)
    torch.testing.assert_close(out, expected, rtol=1e-13, atol=0)
    for got, want in zip(
        torch.autograd.grad(out, inputs, upstream), torch.autograd.grad(expected, inputs, upstream), strict=True
    ):
        assert got.shape == want.shape
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("bits", [0.3, 1.0, 2.5, 4.0])
def test_gradients_beyond_the_range_are_the_numerical_ones(bits: float) -> None:
    """Where the bound is an integer nothing is rounded, so that finite differences know b's and e's gradient too."""
    weight = torch.tensor([[-30.0, 30.0]], dtype=torch.float64, requires_grad=True)
    quantizer = Quantizer(weight, 0)
    with torch.no_grad():
        quantizer.bits.fill_(bits)
        quantizer.exponent.fill_(0.3)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    quantizer(weight).backward(torch.tensor([[3.0, 5.0]], dtype=torch.float64))
    assert weight.grad is not None
    assert quantizer.bits.grad is not None
    assert quantizer.exponent.grad is not None
    assert weight.grad.tolist() == [[0, 0]]
    slope = 2**0.3 * math.log(2) * 2 ** (bits - 1)  # d(2^e * bound)/db
    assert quantizer.bits.grad.item() == pytest.approx(slope * (5 - 3), rel=1e-12)
    wanted = 2**0.3 * math.log(2) * (3 * round(low) + 5 * round(high))
    assert quantizer.exponent.grad.item() == pytest.approx(wanted, rel=1e-12)


def test_the_bound_itself_still_passes_the_gradient_to_the_weight() -> None:
    weight = torch.tensor([[-2.0, 1.0, -2.5, 1.5]], requires_grad=True)
    quantizer = Quantizer(weight, 0, bits=2)
    with torch.no_grad():
        quantizer.exponent.zero_()
    out = quantizer(weight)
    out.sum().backward()
    assert weight.grad is not None
    assert out.tolist() == [[-2, 1, -2, 1]]
    assert weight.grad.tolist() == [[1, 1, 0, 0]]


def test_ties_go_to_even() -> None:
    weight = torch.tensor([[-1.5, -0.5, 0.5, 1.5, 2.5]])
    quantizer = Quantizer(weight, 0, bits=4)
    with torch.no_grad():
        quantizer.exponent.zero_()
    assert quantizer(weight).tolist() == [[-2, 0, 0, 2, 2]]


@pytest.mark.parametrize("latched", [True, False])
def test_a_channel_at_zero_is_zero_and_takes_no_gradient(latched: bool) -> None:
    weight = torch.tensor([[0.5, -0.5, 1e9], [0.5, -0.5, 0.1]], requires_grad=True)
    quantizer = Quantizer(weight, 0)
    with torch.no_grad():
        quantizer.bits[0] = 0.0
        quantizer.exponent[0] = 0.0  # puts -0.5 exactly on both bounds
        if latched:
            assert bound_quantizers_([quantizer])
            quantizer.bits[0] = 3.0  # what momentum does before it is bounded again
    out = quantizer(weight)
    (out.sum() + quantizer.depth().sum()).backward()
    assert weight.grad is not None
    assert quantizer.bits.grad is not None
    assert quantizer.exponent.grad is not None
    assert (out[0] == 0).all()
    assert (out[1] != 0).all()
    assert weight.grad[0].tolist() == [0, 0, 0]
    assert (quantizer.bits.grad[0].item(), quantizer.exponent.grad[0].item()) == (0, 0)
    assert quantizer.bits.grad[1].item() != 0
    assert quantizer.depth().tolist() == [0, 8]


def test_bounds_hold_and_death_is_reported_once_and_final() -> None:
    quantizer = Quantizer(torch.randn(4, 3), 0)
    assert not bound_quantizers_([quantizer])
    with torch.no_grad():
        quantizer.bits.copy_(torch.tensor([-0.1, 0.01, 40.0, 5.0]))
    assert bound_quantizers_([quantizer, Quantizer(torch.randn(2, 2), 0)])
    assert quantizer.bits.tolist() == pytest.approx([0, 0.01, MAX_BITS, 5])
    assert quantizer.dead.tolist() == [True, False, False, False]
    with torch.no_grad():
        quantizer.bits[0] = 2.0
    assert not bound_quantizers_([quantizer])
    assert quantizer.bits[0].item() == 0
    assert quantizer.dead[0]
    assert not bound_quantizers_([])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_depth_that_is_not_finite_shows_and_is_neither_killed_nor_repaired(value: float) -> None:
    weight = torch.randn(3, 2)
    quantizer = Quantizer(weight, 0)
    with torch.no_grad():
        quantizer.bits[1] = 0.0
        bound_quantizers_([quantizer])
        quantizer.bits[:2] = value
    assert not bound_quantizers_([quantizer])
    assert quantizer.bits[0].isnan()
    assert quantizer.bits[1:].tolist() == [0, 8]
    assert quantizer.dead.tolist() == [False, True, False]
    out = quantizer(weight)
    assert out[0].isnan().all()
    assert (out[1] == 0).all()


def test_pairs_of_a_grouped_transposed_weight_are_group_major_and_follow_a_removed_group() -> None:
    weight = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(3))  # 3 groups of 2 inputs and 2 outputs
    quantizer = Quantizer(weight, 1, groups=3)
    assert quantizer.bits.shape == (6,)
    with torch.no_grad():
        quantizer.bits[3] = 0.0  # group 1, output 1
    silent = (quantizer(weight) == 0).all(dim=2)
    assert silent.nonzero().tolist() == [[2, 1], [3, 1]]
    whole = quantizer(weight)
    kept = torch.tensor([0, 1, 4, 5])
    quantizer.bits, quantizer.exponent = (nn.Parameter(p.data[kept]) for p in (quantizer.bits, quantizer.exponent))
    quantizer.dead = quantizer.dead[kept]
    assert torch.equal(quantizer(weight[kept]), whole[kept])
    with pytest.raises(InputError, match=r"4 channels along dim 1 .*slice its"):
        quantizer(weight[:3])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_keep_their_dtype_and_learn_depths_in_float32(dtype: torch.dtype) -> None:
    weight = torch.randn(4, 5).to(dtype).requires_grad_()
    quantizer = Quantizer(weight, 0)
    out = quantizer(weight)
    out.sum().backward()
    assert weight.grad is not None
    assert (out.dtype, weight.grad.dtype, quantizer.bits.dtype) == (dtype, dtype, torch.float32)
    assert (out - weight).abs().max() <= quantizer.scale(weight).max() / 2 + 0.02


def test_autocast_changes_nothing() -> None:
    weight = torch.randn(4, 5, requires_grad=True)
    quantizer = Quantizer(weight, 0)
    plain = torch.autograd.grad(quantizer(weight).square().sum(), (weight, quantizer.bits, quantizer.exponent))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = quantizer(weight)
        cast = torch.autograd.grad(out.square().sum(), (weight, quantizer.bits, quantizer.exponent))
    assert torch.equal(out, quantizer(weight))
    assert all(map(torch.equal, plain, cast))


def test_channels_last_in_channels_last_out() -> None:
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last).requires_grad_()
    out = Quantizer(weight, 0)(weight)
    out.sum().backward()
    assert weight.grad is not None
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert weight.grad.is_contiguous(memory_format=torch.channels_last)


def test_copies_pickles_moves_and_loads_as_a_module() -> None:
    weight = torch.randn(4, 3)
    quantizer = Quantizer(weight, 0)
    with torch.no_grad():
        quantizer.bits[2] = 0.0
    bound_quantizers_([quantizer])
    loaded = Quantizer(torch.randn(4, 3), 0)
    loaded.load_state_dict(quantizer.state_dict())
    for twin in (copy.deepcopy(quantizer), pickle.loads(pickle.dumps(quantizer)), loaded):
        assert torch.equal(twin(weight), quantizer(weight))
        assert torch.equal(twin.dead, quantizer.dead)
    assert set(quantizer.state_dict()) == {"bits", "exponent", "dead"}
    assert quantizer.double()(weight.double()).dtype == torch.float64
    assert Quantizer(weight.to("meta"), 0)(weight.to("meta")).is_meta
    assert "channels=4, dims=(0,)" in repr(quantizer)


def test_only_asked_gradients_are_made_and_second_ones_are_refused() -> None:
    weight = torch.randn(4, 3)
    quantizer = Quantizer(weight, 0)
    quantizer.exponent.requires_grad_(False)
    quantizer(weight).sum().backward()
    assert quantizer.bits.grad is not None
    assert quantizer.exponent.grad is None
    (first,) = torch.autograd.grad(quantizer(weight).square().sum(), quantizer.bits, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@pytest.mark.parametrize(
    ("weight", "dim", "groups", "bits", "error", "message"),
    [
        (torch.ones(2, 2, dtype=torch.int64), 0, 1, 8.0, ModelError, "floating-point"),
        (torch.tensor([[math.nan, 1.0]]), 0, 1, 8.0, ModelError, "NaN or infinite"),
        (torch.tensor([[math.inf, 1.0]]), 0, 1, 8.0, ModelError, "NaN or infinite"),
        (torch.ones(2, 2), 2, 1, 8.0, InputError, "no dim 2"),
        (torch.ones(2, 2), 0, 1, 1.5, InputError, "2 to 24 bits"),
        (torch.ones(2, 2), 0, 1, 25.0, InputError, "2 to 24 bits"),
        (torch.ones(2, 2), 0, 1, math.nan, InputError, "2 to 24 bits"),
        (torch.ones(3, 2, 1), 1, 2, 8.0, InputError, "groups=2"),
        (torch.ones(4, 2, 1), 0, 2, 8.0, InputError, "groups=2"),
    ],
)
def test_errors(weight: Tensor, dim: int, groups: int, bits: float, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Quantizer(weight, dim, groups, bits)
