"""The oracle is tested by planting mistakes that it must see."""

import math

import pytest
import torch
from torch import Tensor

from tests.comparison import NotFiniteError, compare, relative_error, require_equal
from tests.full_size import gather, scatter


def test_relative_error() -> None:
    x = torch.tensor([1.0, -4.0], dtype=torch.float64)
    assert relative_error(x, x.clone()) == 0
    assert relative_error(x + 1e-3, x) == pytest.approx(0.25e-3)
    assert relative_error(torch.zeros(0), torch.zeros(0)) == 0
    assert relative_error(torch.tensor([1e-12]), torch.tensor([0.0]), floor=1e-3) == pytest.approx(1e-9)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (torch.tensor([math.nan]), torch.tensor([math.nan])),
        (torch.tensor([math.inf]), torch.tensor([math.inf])),
        (torch.tensor([math.nan]), torch.tensor([1.0])),
        (torch.tensor([1e-30]), torch.tensor([0.0])),
        (torch.zeros(2), torch.zeros(3)),
        (torch.zeros(1), torch.zeros(())),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.tensor([1]), torch.tensor([2])),
    ],
)
def test_what_no_tolerance_accepts(actual: Tensor, expected: Tensor) -> None:
    assert relative_error(actual, expected) == math.inf


def test_compare_reports_the_worst_first_and_missing_names() -> None:
    expected = {"a": torch.ones(3), "b": torch.ones(3), "c": torch.ones(3)}
    actual = {"a": torch.ones(3) * 1.1, "b": torch.ones(3) * 1.2, "d": torch.ones(3)}
    found = compare(actual, expected)
    assert [difference.name.split()[0] for difference in found] == ["c", "d", "b", "a"]
    assert "b differs from the reference, relative error 0.2" in str(found[2])
    with pytest.raises(AssertionError, match=r"case\nc .on one side only. differs"):
        require_equal(actual, expected, "case")


def test_compare_refuses_a_useless_reference_or_tolerance() -> None:
    with pytest.raises(NotFiniteError, match="reference of a"):
        compare({"a": torch.ones(1)}, {"a": torch.tensor([math.nan])})
    for tolerance in (1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="accept anything"):
            require_equal({}, {}, "case", tolerance)


def test_scatter_undoes_gather() -> None:
    full = torch.arange(2 * 5 * 3 * 4.0).view(2, 5, 3, 4)
    kept = (torch.arange(2), torch.tensor([0, 2, 3]), torch.arange(3), torch.tensor([1, 3]))
    part = gather(full, kept)
    assert part.shape == (2, 3, 3, 2)
    changed = scatter(full.clone(), kept, part + 100)
    assert torch.equal(gather(changed, kept), part + 100)
    assert int((changed != full).sum()) == part.numel()
