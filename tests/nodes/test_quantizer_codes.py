"""The integer codes of quantized weights and the bits it takes to store them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scfx.nodes.quantizer import MAX_BITS, Quantizer, bound_quantizers_

WEIGHTS = {"linear": ((5, 7), 0, 1), "transposed": ((4, 6, 3, 3), 1, 1), "grouped transposed": ((4, 3, 2, 2), 1, 2)}


@pytest.mark.parametrize("name", WEIGHTS)
def test_codes_times_scale_are_the_quantized_weight_and_lie_within_the_levels(name: str) -> None:
    shape, dim, groups = WEIGHTS[name]
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(shape, generator=generator)
    quantizer = Quantizer(weight, dim, groups)
    with torch.no_grad():
        quantizer.bits.uniform_(0.3, 4.3, generator=generator)
        quantizer.bits[0] = 0.0
    bound_quantizers_([quantizer])
    codes = quantizer.integers(weight)
    assert codes.dtype == torch.int32
    assert torch.equal(codes * quantizer.scale(weight), quantizer(weight) + 0.0)
    low, high = quantizer.level_bounds()
    assert int(low.min()) <= int(codes.min()) <= int(codes.max()) <= int(high.max())
    if groups == 1:
        rows = codes.movedim(dim, 0).reshape(len(low), -1)
        assert (rows >= low[:, None]).all()
        assert (rows <= high[:, None]).all()


@settings(deadline=None)
@given(st.lists(st.floats(0, MAX_BITS, width=32), min_size=1, max_size=30))
def test_storage_bits_hold_all_levels_and_no_fewer_would(depths: list[float]) -> None:
    quantizer = Quantizer(torch.ones(len(depths), 1), 0)
    with torch.no_grad():
        quantizer.bits.copy_(torch.tensor(depths))
    low, high = (bound.tolist() for bound in quantizer.level_bounds())
    for depth, least, most, width in zip(depths, low, high, quantizer.storage_bits().tolist(), strict=True):
        assert width <= math.ceil(depth)
        assert 2 ** (width - 1) < most - least + 1 <= 2**width
        if width:
            assert -(2 ** (width - 1)) <= least <= most <= 2 ** (width - 1) - 1
        else:
            assert (least, most) == (0, 0)


@pytest.mark.parametrize(
    ("depth", "width"), [(0, 0), (0.01, 1), (1, 1), (1.5, 1), (2.3, 2), (2.4, 3), (8, 8), (24, 24)]
)
def test_storage_bits_of_known_depths(depth: float, width: int) -> None:
    quantizer = Quantizer(torch.ones(1, 1), 0)
    with torch.no_grad():
        quantizer.bits.fill_(depth)
    assert quantizer.storage_bits().tolist() == [width]
