"""The sum of what branches have, in any layout in memory and of any dtypes."""

import itertools

import pytest
import torch
from torch import Tensor

from scfx.nodes.merging import MERGE, Places

#: Places in a sum of 6 channels; -1 is left out.
LISTS: tuple[Places, ...] = (None, [0, 2, 3], [-1, 0, -1, 5], [1, 4], [0, 1, 2, 3, 4, 5, -1])


def expected(one: Tensor, two: Tensor, dim: int, places: tuple[Places, Places]) -> Tensor:
    """Channel by channel."""
    shape = list(one.shape)
    shape[dim] = 6
    total = torch.zeros(shape, dtype=torch.float64)
    for tensor, at in zip((one, two), places, strict=True):
        for index, place in enumerate(range(6) if at is None else at):
            if place >= 0:
                total.select(dim, place).add_(tensor.select(dim, index))
    return total


def laid_out(layout: str, channels: int) -> Tensor:
    if layout == "rows":
        return torch.randn(4, 3, channels)
    image = torch.randn(2, channels, 3, 4)
    return image.contiguous(memory_format=torch.channels_last) if layout == "channels last" else image


@pytest.mark.parametrize("layout", ["planes", "channels last", "rows"])
@pytest.mark.parametrize("places", list(itertools.product(LISTS, LISTS)), ids=str)
def test_each_channel_is_added_in_its_place(layout: str, places: tuple[Places, Places]) -> None:
    torch.manual_seed(0)
    dim = -1 if layout == "rows" else 1
    leaves = [laid_out(layout, 6 if at is None else len(at)).double().requires_grad_() for at in places]
    result, wanted = MERGE(*leaves, dim, 6, *places), expected(leaves[0], leaves[1], dim, places)
    assert torch.equal(result, wanted)
    weights = torch.randn(wanted.shape, dtype=torch.float64)
    one, two = (torch.autograd.grad(each, leaves, weights) for each in (result, wanted))
    assert all(map(torch.equal, one, two))


def test_the_layout_of_the_trunk_stays() -> None:
    image = laid_out("channels last", 6)
    made = MERGE(image, laid_out("planes", 2), 1, 6, None, [1, 4])
    assert made.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("at", [None, [0, 1, 2], [1, 4]], ids=str)
def test_the_wider_dtype_is_that_of_the_sum(at: Places) -> None:
    size = 3 if at is None or len(at) == 3 else 6
    one, two = torch.randn(2, size), torch.randn(2, 3 if at is None else len(at), dtype=torch.bfloat16)
    assert MERGE(one, two, 1, size, None, at).dtype == torch.float32
    assert MERGE(two, one, 1, size, at, None).dtype == torch.float32
