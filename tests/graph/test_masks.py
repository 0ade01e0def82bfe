"""From masks over axes to masks over dims, and back."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scfx.graph.masks import narrow, occupied, over
from scfx.terms.dims import Var, concat, product, variables
from scfx.terms.unify import fresh
from tests.dims import Pool, build, random_masks, random_shape

SEEDS = st.integers(0, 10**9)
SIZES = st.sampled_from([1, 2, 4, 6, 12, 24, 30])


def axes() -> tuple[Var, Var]:
    a, b = fresh(2), fresh(3)
    assert isinstance(a, Var)
    assert isinstance(b, Var)
    return a, b


def test_a_product_keeps_what_every_factor_keeps() -> None:
    a, b = axes()
    mask = over(product(a, b), {a: np.array([True, False]), b: np.array([True, False, True])})
    assert mask.tolist() == [True, False, True, False, False, False]


def test_a_concatenation_keeps_what_each_part_keeps() -> None:
    a, b = axes()
    mask = over(concat(a, b, a), {a: np.array([True, False])})
    assert mask.tolist() == [True, False, True, True, True, True, False]


def test_what_a_channel_occupies() -> None:
    a, b = axes()
    assert np.flatnonzero(occupied(product(a, b), b, 1)).tolist() == [1, 4]
    assert np.flatnonzero(occupied(concat(b, product(a, b)), a, 1)).tolist() == [6, 7, 8]


@given(SIZES, SEEDS)
def test_the_channels_of_an_axis_occupy_all_of_what_it_takes_part_in(size: int, seed: int) -> None:
    rng = random.Random(seed)
    dim = build(random_shape(size, rng), Pool(rng))
    for axis in set(variables(dim)):
        gone = {axis: np.zeros(axis.size, bool)}
        together = np.logical_or.reduce([occupied(dim, axis, channel) for channel in range(axis.size)])
        np.testing.assert_array_equal(together, ~over(dim, gone))


@given(SIZES, SEEDS)
def test_narrowing_leaves_the_channels_of_which_every_index_is_marked(size: int, seed: int) -> None:
    """And removing any of those removes marked indices only."""
    rng = random.Random(seed)
    dim = build(random_shape(size, rng), Pool(rng, pinned=0))
    marked = np.array([rng.random() < 0.7 for _ in range(size)])
    masks = {axis: np.ones(axis.size, bool) for axis in variables(dim)}
    narrow(dim, marked, masks)
    assert not (~over(dim, {axis: ~mask for axis, mask in masks.items()}) & ~marked).any()
    for axis, mask in masks.items():
        for channel in range(axis.size):
            assert mask[channel] == marked[occupied(dim, axis, channel)].all()


def test_narrowing_by_nothing_clears_everything() -> None:
    a, b = axes()
    masks = {a: np.ones(2, bool), b: np.ones(3, bool)}
    narrow(product(a, b), None, masks)
    assert not masks[a].any()
    assert not masks[b].any()


@given(SIZES, SEEDS)
def test_removing_channels_removes_what_they_occupy(size: int, seed: int) -> None:
    rng = random.Random(seed)
    dim = build(random_shape(size, rng), Pool(rng))
    kept = random_masks([dim], rng)
    gone = np.zeros(size, bool)
    for axis, mask in kept.items():
        for channel in np.flatnonzero(~mask):
            gone |= occupied(dim, axis, int(channel))
    np.testing.assert_array_equal(over(dim, kept), ~gone)
