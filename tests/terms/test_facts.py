"""What is known of zeros, against the zeros themselves: no operation on facts may claim more than is so."""

from __future__ import annotations

import random
from functools import reduce
from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scfx.terms.facts import (
    LARGE,
    Fact,
    Mask,
    Zeros,
    both,
    chained,
    either,
    everything,
    known,
    piece,
    project,
    regroup,
    unknown,
)

SEEDS = st.integers(0, 10**9)


def factorization(size: int, rng: random.Random) -> tuple[int, ...]:
    """A random row-major factorization of a size."""
    parts: list[int] = []
    while size != 1:
        part = rng.choice([n for n in range(2, size + 1) if size % n == 0])
        parts.append(part)
        size //= part
    return tuple(parts) or (1,)


def fact_of(sizes: tuple[int, ...], rng: random.Random) -> Fact:
    masks = [np.array([rng.random() < 0.4 for _ in range(n)]) if rng.random() < 0.7 else None for n in sizes]
    return Fact(sizes, tuple(mask if mask is not None and mask.any() else None for mask in masks))


def spread_out(fact: Fact) -> Mask:
    """Which indices of a dimension are zero, if exactly what a fact says is."""
    filled = [np.zeros(n, bool) if mask is None else mask for n, mask in zip(fact.sizes, fact.masks, strict=True)]
    return reduce(lambda a, b: np.logical_or.outer(a, b).reshape(-1), filled)


def zeros_of(facts: list[Fact]) -> NDArray[np.bool_]:
    """Which elements of a tensor are zero, if exactly what the facts say is."""
    return reduce(np.logical_or.outer, map(spread_out, facts))


def holds(facts: tuple[Fact, ...], zero: NDArray[np.bool_]) -> bool:
    """Whether every index that is claimed to be zero is."""
    return all(bool(np.moveaxis(zero, d, 0)[spread_out(fact)].all()) for d, fact in enumerate(facts))


@given(st.sampled_from([1, 4, 6, 12, 24, 30]), SEEDS)
def test_a_flat_mask_says_what_the_factors_say(size: int, seed: int) -> None:
    fact = fact_of(factorization(size, random.Random(seed)), random.Random(seed + 1))
    mask = fact.flat()
    np.testing.assert_array_equal(np.zeros(size, bool) if mask is None else mask, spread_out(fact))


@given(st.sampled_from([4, 6, 12, 24, 30]), SEEDS)
def test_sums_and_products(size: int, seed: int) -> None:
    rng = random.Random(seed)
    a, b = (fact_of(factorization(size, rng), rng) for _ in range(2))
    assert not (spread_out(both(a, b)) & ~(spread_out(a) & spread_out(b))).any()
    assert not (spread_out(either(a, b)) & ~(spread_out(a) | spread_out(b))).any()


@given(st.lists(st.sampled_from([1, 2, 3, 4, 6, 8]), min_size=1, max_size=3), SEEDS)
def test_regrouping_claims_nothing_new(sizes: list[int], seed: int) -> None:
    rng = random.Random(seed)
    facts = [fact_of(factorization(size, rng), rng) for size in sizes]
    flat = list(factorization(prod(sizes), rng))
    shape: list[list[int]] = []
    while flat:
        shape.append([flat.pop(0) for _ in range(min(len(flat), rng.randint(1, 2)))])
    made = regroup(facts, shape)
    assert [fact.size for fact in made] == [prod(group) for group in shape]
    assert holds(made, zeros_of(facts).reshape([fact.size for fact in made]))


def test_regrouping_keeps_what_can_be_said() -> None:
    heads, features = np.array([False, True, False]), np.array([True, False, False, True])
    (merged,) = regroup([known(heads), known(features)], [[3, 4]])
    assert merged.sizes == (3, 4)
    back = regroup([merged], [[3], [4]])
    np.testing.assert_array_equal(back[0].masks[0], heads)
    np.testing.assert_array_equal(back[1].masks[0], features)
    split = regroup([known(np.repeat(heads, 4))], [[3], [4]])
    np.testing.assert_array_equal(split[0].masks[0], heads)
    assert split[1].masks == (None,)


def test_nothing_is_known_behind_boundaries_that_cross() -> None:
    mask = np.array([True] * 4 + [False] * 2)
    made = regroup([known(mask), unknown(4)], [[4], [6]])
    assert [fact.masks for fact in made] == [(None,), (None,)]


@given(st.sampled_from([4, 6, 12, 24]), SEEDS)
def test_projections_hold_whatever_the_other_factors_are(size: int, seed: int) -> None:
    rng = random.Random(seed)
    fact, sizes = fact_of(factorization(size, rng), rng), factorization(size, rng)
    parts = project(fact, sizes)
    table = spread_out(fact).reshape(sizes)
    for dim, mask in enumerate(parts):
        assert mask is None or np.moveaxis(table, dim, 0)[mask].all()


@given(st.sampled_from([6, 12]), SEEDS)
def test_pieces_put_together_are_the_whole(size: int, seed: int) -> None:
    rng = random.Random(seed)
    fact = fact_of(factorization(size, rng), rng)
    cut = rng.randint(0, size)
    again = chained([piece(fact, 0, cut), piece(fact, cut, size)])
    np.testing.assert_array_equal(spread_out(again), spread_out(fact))


def test_nothing_as_large_as_a_symbolic_dimension_is_allocated() -> None:
    batch = 2**31 - 1
    assert batch > LARGE
    assert Fact((batch, 4), (None, np.ones(4, bool))).flat() is None
    assert everything(batch).masks == (None,)
    assert chained([unknown(batch), everything(3)]).masks == (None,)
    assert Zeros((unknown(batch),), whole=True).along(0) is None


def test_pieces_of_a_dimension_of_several_symbols_have_their_sizes() -> None:
    size = LARGE**4
    for start, stop, step in ((1, size, 1), (0, size, 3), (5, size - 1, 7), (7, 7, 1), (9, 7, 2)):
        found = piece(Fact((size,), (None,)), start, stop, step)
        assert found.size == max(0, -(-(stop - start) // step))
    assert piece(Fact((size,), (None,)), 3, 14, 4).size == len(range(3, 14, 4))


def test_a_tensor_is_zero_altogether_when_one_of_its_dimensions_is() -> None:
    zeros = Zeros.of([unknown(3), known(np.ones(2, bool))])
    assert zeros.whole
    assert zeros.fact(0).covers
    assert not Zeros.of([unknown(3), known(np.array([True, False]))]).whole
    assert not Zeros.unknown((3, 2)).anywhere
