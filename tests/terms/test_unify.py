"""The laws of unification, on random dims, and its answers where they are known."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scfx.graph.masks import over
from scfx.terms.dims import NOTHING, ONE, Concat, Dim, Pin, Product, concat, factors, product, resolve, variables
from scfx.terms.symbolic import FIRST_PRIME
from scfx.terms.unify import SizeMismatchError, cut, fresh, pin, unify
from tests.dims import WHY, Pool, build, free_channels, random_masks, random_shape

SEEDS = st.integers(0, 10**9)
SIZES = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 18, 20, 24, 30, 36, 48])


def dims_of(size: int, count: int, rng: random.Random, pinned: float = 0.1, shared: float = 0.3) -> list[Dim]:
    pool = Pool(rng, pinned, shared)
    return [build(random_shape(size, rng), pool) for _ in range(count)]


@settings(max_examples=200)
@given(SIZES, SEEDS)
def test_what_is_unified_keeps_the_same_channels(size: int, seed: int) -> None:
    rng = random.Random(seed)
    dims = dims_of(size, 4, rng)
    for _ in range(4):
        a, b = rng.sample(dims, 2)
        unify(a, b, WHY)
        masks = random_masks(dims, rng)
        np.testing.assert_array_equal(over(a, masks), over(b, masks))


@settings(max_examples=150)
@given(SIZES, SEEDS)
def test_all_that_was_unified_stays_so(size: int, seed: int) -> None:
    """Later unifications take axes apart; what was said before must still hold."""
    rng = random.Random(seed)
    dims = dims_of(size, 5, rng)
    said = [tuple(rng.sample(dims, 2)) for _ in range(5)]
    for a, b in said:
        unify(a, b, WHY)
    masks = random_masks(dims, rng)
    for a, b in said:
        np.testing.assert_array_equal(over(a, masks), over(b, masks))


@settings(max_examples=150)
@given(SIZES, SEEDS)
def test_unification_is_idempotent(size: int, seed: int) -> None:
    rng = random.Random(seed)
    dims = dims_of(size, 4, rng)
    said = [tuple(rng.sample(dims, 2)) for _ in range(4)]
    for a, b in said:
        unify(a, b, WHY)
    before = free_channels(dims)
    for a, b in said:
        unify(a, b, WHY)
        unify(b, a, WHY)
    assert free_channels(dims) == before


@settings(max_examples=150)
@given(SIZES, SEEDS)
def test_unification_is_symmetric(size: int, seed: int) -> None:
    left, right = (dims_of(size, 2, random.Random(seed)) for _ in range(2))
    unify(left[0], left[1], WHY)
    unify(right[1], right[0], WHY)
    assert free_channels(left) == free_channels(right)


@settings(max_examples=100)
@given(SIZES, SEEDS)
def test_sizes_stay(size: int, seed: int) -> None:
    rng = random.Random(seed)
    dims = dims_of(size, 3, rng)
    parts = [axis for dim in dims for axis in variables(dim)]
    before = [axis.size for axis in parts]
    unify(dims[0], dims[1], WHY)
    unify(dims[1], dims[2], WHY)
    assert [resolve(dim).size for dim in dims] == [size] * 3
    assert [resolve(axis).size for axis in parts] == before


@settings(max_examples=100)
@given(SIZES, SEEDS)
def test_pins_stay_and_nobody_is_unpinned(size: int, seed: int) -> None:
    rng = random.Random(seed)
    dims = dims_of(size, 3, rng, pinned=0.5)
    before = [axis for dim in dims for axis in variables(dim) if axis.pin is not None]
    unify(dims[0], dims[1], WHY)
    unify(dims[2], dims[0], WHY)
    assert all(part.pin is not None for axis in before for part in variables(axis))


@settings(max_examples=100)
@given(st.integers(2, 4), SEEDS)
def test_the_order_of_unifications_does_not_matter_where_all_can_be_aligned(factors_count: int, seed: int) -> None:
    """Products of the same factors, grouped differently, and concatenations of the same segments."""
    rng = random.Random(seed)
    sizes = [rng.choice([2, 3, 4]) for _ in range(factors_count)]
    is_product = rng.random() < 0.5

    def grouped(cuts: list[int]) -> Dim:
        ends = [0, *cuts, len(sizes)]
        groups = [sizes[a:b] for a, b in itertools.pairwise(ends)]
        return (
            product(*(fresh(int(np.prod(g))) for g in groups))
            if is_product
            else concat(*(fresh(sum(g)) for g in groups))
        )

    cuts = [sorted(rng.sample(range(1, len(sizes)), rng.randint(0, len(sizes) - 1))) for _ in range(4)]
    pairs = [(0, 1), (1, 2), (2, 3), (0, 3)]
    results = []
    for _ in range(2):
        rng.shuffle(pairs)
        dims = [grouped(c) for c in cuts]
        for a, b in pairs:
            unify(dims[a], dims[b], WHY)
        results.append(free_channels(dims))
    assert results[0] == results[1]
    assert all(axis.pin is None for dim in dims for axis in variables(dim))


@settings(max_examples=100)
@given(SIZES, st.integers(0, 48), SEEDS)
def test_a_cut_dim_is_the_concatenation_of_its_parts(size: int, at: int, seed: int) -> None:
    rng = random.Random(seed)
    (dim,) = dims_of(size, 1, rng)
    halves = cut(dim, min(at, size))
    if halves is None:
        return
    assert (halves[0].size, halves[1].size) == (min(at, size), size - min(at, size))
    masks = random_masks([dim], rng)
    np.testing.assert_array_equal(np.concatenate([over(half, masks) for half in halves]), over(dim, masks))


def free(dim: Dim) -> list[int]:
    return [axis.size for axis in variables(dim) if axis.pin is None]


def test_an_axis_becomes_what_it_is_unified_with() -> None:
    axis, heads, features = fresh(12), fresh(3), fresh(4)
    unify(axis, Product((heads, features)), WHY)
    assert factors(axis) == (heads, features)


def test_products_are_split_where_sizes_divide() -> None:
    left, right = Product((fresh(6), fresh(4))), Product((fresh(2), fresh(12)))
    unify(left, right, WHY)
    assert [part.size for part in factors(left)] == [2, 3, 4] == free(right)


def test_products_that_cross_are_pinned_where_they_do() -> None:
    left, right = Product((fresh(6), fresh(4))), Product((fresh(4), fresh(6)))
    unify(left, right, Pin("reshape", "view_1"))
    assert sorted(free(left)) == [2, 2]
    assert {str(axis.pin) for axis in variables(left) if axis.pin} == {
        "sizes that can't be aligned: reshape (at view_1)"
    }


def test_concatenations_are_split_at_each_other_s_ends() -> None:
    left, right = concat(fresh(3), fresh(5)), concat(fresh(4), fresh(4))
    unify(left, right, WHY)
    assert [part.size for part in resolve(left).parts] == [4, 4] or free(left) == [3, 4]  # type: ignore[union-attr]
    assert resolve(left) == resolve(right)


def test_rows_of_a_concatenation_are_pinned_and_its_segments_are_free() -> None:
    a, b = fresh(2), fresh(4)
    rows = fresh(2)
    unify(concat(a, b, a, b), Product((rows, fresh(6))), WHY)
    assert free(rows) == []
    assert free(a) + free(b) == [2, 4]


def test_a_concatenation_of_whole_rows_splits_the_rows() -> None:
    whole, rows, inner = concat(fresh(8), fresh(4)), fresh(3), fresh(4)
    unify(whole, Product((rows, inner)), WHY)
    assert sorted(free(whole)) == [2, 4, 4]
    assert sum(part.size for part in variables(rows)) == 2


def test_a_pin_spreads_to_everything_that_is_unified_later() -> None:
    axis, other = fresh(6), product(fresh(2), fresh(3))
    pin(axis, Pin("model output", "linear"))
    unify(other, axis, WHY)
    assert {str(part.pin) for part in variables(other)} == {"model output (at linear)"}


def test_the_first_reason_stays() -> None:
    axis, other = fresh(4, Pin("first")), fresh(4, Pin("second"))
    unify(axis, other, WHY)
    pin(other, Pin("third"))
    assert {str(part.pin) for part in (*variables(axis), *variables(other))} <= {"first", "second"}


def test_different_sizes_are_an_error_that_names_them() -> None:
    with pytest.raises(SizeMismatchError, match="size 3 can't be one of size 4"):
        unify(fresh(3), fresh(4), WHY)


def test_no_error_shows_what_stands_for_a_size() -> None:
    with pytest.raises(SizeMismatchError, match="a dim of a size that varies can't be one of size 4"):
        unify(fresh(FIRST_PRIME), fresh(4), WHY)
    with pytest.raises(SizeMismatchError, match="sizes that vary aren't known to be equal"):
        unify(fresh(FIRST_PRIME), fresh(2 * FIRST_PRIME), WHY)


def test_sizes_one_and_zero_have_no_axis() -> None:
    assert fresh(1) == ONE
    assert fresh(0) == NOTHING
    assert product(fresh(3), fresh(0)) == NOTHING
    assert isinstance(concat(ONE, ONE), Concat)
    unify(fresh(0), product(fresh(0), fresh(5)), WHY)
