"""Numbers of any bits come back, and take no room but their bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scfx.errors import CheckpointError
from scfx.files.bits import pack_bits, pack_widths, unpack_bits, unpack_widths


@settings(max_examples=40)
@given(st.lists(st.integers(0, 24), max_size=9), st.integers(0, 5), st.integers(0, 99))
def test_numbers_come_back(widths: list[int], entries: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    low = np.array([-(2**width // 2) for width in widths])[:, None]
    codes = random.integers(low, np.maximum(-low, 1), (len(widths), entries)).astype(np.int32)
    data = pack_bits(codes, widths)
    assert len(data) == -(-sum(widths) * entries // 8)
    assert np.array_equal(unpack_bits(data, widths, entries), codes)
    assert unpack_widths(pack_widths(widths), len(widths)) == widths


def test_the_layout_is_that_of_the_documentation() -> None:
    codes = np.array([[1, -1, 3], [0, 0, 0], [-2, 1, 0]], np.int32)
    data = pack_bits(codes, [3, 0, 2])
    assert "".join(f"{byte:08b}" for byte in data) == "100100" + "001111011" + "0"
    assert "".join(f"{byte:08b}" for byte in pack_widths([3, 24])) == "00011" + "11000" + "000000"


@pytest.mark.parametrize(("code", "width"), [(1, 1), (-2, 1), (4, 3), (-5, 3), (1, 0)])
def test_a_number_that_does_not_fit_is_an_error(code: int, width: int) -> None:
    with pytest.raises(ValueError, match="doesn't fit"):
        pack_bits(np.array([[code]], np.int32), [width])


def test_other_bytes_are_an_error() -> None:
    for size in (1, 3):
        with pytest.raises(CheckpointError, match="bytes don't hold"):
            unpack_bits(np.zeros(size, np.uint8), [3, 2], 2)
        with pytest.raises(CheckpointError, match="bytes don't hold"):
            unpack_widths(np.zeros(size, np.uint8), 3)
    with pytest.raises(CheckpointError, match="more than 24"):
        unpack_bits(np.zeros(4, np.uint8), [31], 1)
