"""Dims of single channels: lined up in any order, and taken apart at any place."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scfx.graph.masks import occupied, over
from scfx.terms.dims import Dim, Pin, Take, Var, concat, product, resolve, take, variables
from scfx.terms.places import merge, pick
from scfx.terms.unify import fresh, unify
from tests.dims import WHY, Pool, build, free_channels, random_masks, random_order, random_shape

SEEDS = st.integers(0, 10**9)
SIZES = st.integers(1, 24)


def single(size: int, rng: random.Random, axis: Callable[[int], Dim], depth: int = 3) -> Dim:
    """A random dim of which each index belongs to one channel at most."""
    choice = rng.random()
    if depth == 0 or size == 0 or choice < 0.3:
        return axis(size)
    if choice < 0.6:
        fewer = rng.randint(1, size) if rng.random() < 0.4 else size
        return take(single(fewer, rng, axis, depth - 1), random_order(fewer, size, rng))
    cut = rng.randint(0, size)
    return concat(single(cut, rng, axis, depth - 1), single(size - cut, rng, axis, depth - 1))


def groups(dims: list[Dim], pairs: list[tuple[int, int]]) -> list[set[tuple[int, int]]]:
    """Which indices of which dims are one channel, if some pairs of the dims are said to be equal."""
    whole = {(n, i): (n, i) for n, dim in enumerate(dims) for i in range(dim.size)}
    same = [((a, i), (b, i)) for a, b in pairs for i in range(dims[a].size)]
    for axis in {axis for dim in dims for axis in variables(dim)}:
        for channel in range(axis.size):
            places = [(n, int(i)) for n, dim in enumerate(dims) for i in np.flatnonzero(occupied(dim, axis, channel))]
            same += [(places[0], place) for place in places]
    for first, second in same:
        old, new = whole[first], whole[second]
        whole = {place: new if group == old else group for place, group in whole.items()}
    return [{place for place, group in whole.items() if group == root} for root in set(whole.values())]


@settings(max_examples=150)
@given(SIZES, SEEDS)
def test_what_must_go_together_and_nothing_else_becomes_one_channel(size: int, seed: int) -> None:
    rng = random.Random(seed)
    pool = Pool(rng, pinned=0)
    dims = [single(size, rng, pool) for _ in range(3)]
    expected = groups(dims, [(0, 1), (2, 1)])
    unify(dims[0], dims[1], WHY)
    unify(dims[2], dims[1], WHY)
    assert not [axis for dim in dims for axis in variables(dim) if axis.pin is not None]
    assert all(set(channel) in expected for channel in free_channels(dims))


@settings(max_examples=100)
@given(SIZES, SEEDS)
def test_axes_that_are_lined_up_in_any_order_lose_nothing(size: int, seed: int) -> None:
    rng = random.Random(seed)
    axes = [fresh(size), fresh(size), fresh(size)]
    for axis in axes[1:]:
        unify(take(axes[0], rng.sample(range(size), size)), take(axis, rng.sample(range(size), size)), WHY)
    assert len(free_channels(axes)) == (size if size > 1 else 0)


@settings(max_examples=150)
@given(SIZES, SEEDS)
def test_what_is_picked_has_the_channels_of_its_indices(size: int, seed: int) -> None:
    rng = random.Random(seed)
    dim = build(random_shape(size, rng), Pool(rng))
    indices = [rng.randrange(size) for _ in range(rng.randint(0, size))]
    if rng.random() < 0.7:
        indices = list(dict.fromkeys(indices))
    masks = random_masks([dim], rng)
    before = over(dim, masks)
    part = pick(dim, indices)
    if part is None:
        return
    masks = random_masks([dim], rng)
    np.testing.assert_array_equal(over(part, masks), over(dim, masks)[indices])
    assert len(before) == dim.size
    for axis in variables(part):
        assert {axis} <= set(variables(dim)), "what is picked consists of axes of the dim"
        for channel in range(axis.size):
            assert occupied(part, axis, channel).any(), "all of them"


@settings(max_examples=100)
@given(SIZES, SEEDS)
def test_any_part_of_a_dim_of_single_channels_can_be_picked(size: int, seed: int) -> None:
    rng = random.Random(seed)
    dim = single(size, rng, Pool(rng))
    assert pick(dim, rng.sample(range(size), rng.randint(0, size))) is not None


def test_a_channel_that_meets_itself_elsewhere_goes_with_what_is_there() -> None:
    """As with rotary embeddings: feature i and feature i + 2 go together, feature 2 i and feature 2 i + 1."""
    halves, pairs = fresh(4), fresh(4)
    first, second = pick(halves, [0, 1]), pick(halves, [2, 3])
    assert first is not None
    assert second is not None
    unify(halves, concat(second, first), WHY)
    assert resolve(halves) == concat(resolve(first), resolve(first))
    even, odd = pick(pairs, [0, 2]), pick(pairs, [1, 3])
    assert even is not None
    assert odd is not None
    unify(even, odd, WHY)
    unify(pairs, product(even, concat(fresh(1), fresh(1))), WHY)
    assert free_channels([pairs]) == {frozenset({(0, 0), (0, 1)}), frozenset({(0, 2), (0, 3)})}


def test_a_flip_and_what_is_flipped_go_in_pairs() -> None:
    axis = fresh(5)
    unify(axis, take(axis, [4, 3, 2, 1, 0]), WHY)
    assert free_channels([axis]) == {
        frozenset({(0, 0), (0, 4)}), frozenset({(0, 1), (0, 3)}), frozenset({(0, 2)})
    }  # fmt: skip


def test_a_strided_part_of_heads_is_that_part_of_each() -> None:
    heads, features = fresh(3), fresh(4)
    part = pick(product(heads, features), range(0, 12, 2))
    assert part is not None
    assert [axis.size for axis in variables(part)] == [3, 2]


def test_a_reordered_axis_becomes_a_product_in_its_old_order() -> None:
    axis = fresh(6)
    order = [0, 3, 1, 4, 2, 5]
    unify(take(axis, order), product(fresh(3), fresh(2)), WHY)
    assert isinstance(resolve(axis), Take)
    assert [part.size for part in variables(axis)] == [3, 2]
    assert not [part for part in variables(axis) if part.pin is not None]
    assert take(axis, order) == product(*variables(axis))


def test_a_pinned_factor_does_not_stand_in_the_way() -> None:
    rows, axis = fresh(2, Pin("kept")), fresh(3)
    whole = fresh(6)
    unify(whole, take(fresh(3), [2, 0, 1, 2, 0, 1]), WHY)
    unify(whole, product(rows, axis), WHY)
    assert free_channels([whole, product(rows, axis)]) == {
        frozenset({(0, i), (0, i + 3), (1, i), (1, i + 3)}) for i in range(3)
    }


def test_orders_of_orders_are_one_order_of_each_axis_once() -> None:
    a, b = fresh(3), fresh(2)
    woven = take(concat(a, b), [0, 3, 1, 4, 2])
    again = take(concat(woven, a), [0, 5, 1, 6, 2, 7, 3, 4])
    assert again == Take(concat(a, b), (0, 0, 3, 1, 1, 2, 4, 2))
    assert take(woven, [0, 2, 4, 1, 3]) == concat(a, b)


def test_what_has_several_channels_is_not_merged_one_by_one() -> None:
    assert not merge(product(fresh(2), fresh(3)), fresh(6))


def test_a_pin_reaches_what_is_merged_with_it_only() -> None:
    left, right = fresh(3, Pin("kept")), fresh(3)
    whole = fresh(6)
    unify(take(whole, [5, 3, 1, 4, 2, 0]), concat(left, right), WHY)
    assert [(part.size, part.pin) for part in variables(whole)] == [(3, None), (3, Pin("kept"))]
    assert isinstance(whole, Var)
