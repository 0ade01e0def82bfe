"""The canonical form of dims."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scfx.graph.masks import over
from scfx.terms.dims import (
    NOTHING,
    ONE,
    Concat,
    Dim,
    Pin,
    Product,
    Take,
    Var,
    concat,
    factors,
    product,
    resolve,
    take,
    variables,
)
from scfx.terms.unify import fresh
from tests.dims import Pool, build, random_masks, random_shape, size_of


def is_canonical(dim: Dim) -> bool:
    """Flat, without ones, empty parts and trivial orders, and a concatenation in a product only at its end."""
    if isinstance(dim, Var):
        return dim.link is None
    parts = dim.parts
    if isinstance(dim, Take):
        pieces = dim.source.parts if isinstance(dim.source, Concat) else ()
        if any(isinstance(piece, Take) for piece in pieces) or len(set(pieces)) < len(pieces):
            return False
        fine = dim.source != ONE and not isinstance(dim.source, Take) and dim.indices != (*range(dim.source.size),)
        return fine and set(dim.indices) == {*range(dim.source.size)} and is_canonical(dim.source)
    if any(resolve(part) is not part and resolve(part) != part for part in parts) or len(parts) == 1:
        return False
    if isinstance(dim, Product):
        fine = all(isinstance(part, (Var, Take)) for part in parts[:-1]) and not any(
            isinstance(part, Product) for part in parts
        )
    else:
        fine = all(part.size and not isinstance(part, Concat) for part in parts)
    return fine and all(map(is_canonical, parts))


@given(st.sampled_from([0, 1, 2, 6, 12, 24, 36]), st.integers(0, 10**9))
def test_the_canonical_form_has_the_same_size_and_channels(size: int, seed: int) -> None:
    rng = random.Random(seed)
    shape = random_shape(size, rng, depth=4)
    pool = Pool(rng)
    dim = build(shape, pool)
    assert dim.size == size_of(shape) == size
    assert is_canonical(resolve(dim))
    nested = Product((ONE, Concat((NOTHING, dim, NOTHING)))) if size else dim
    assert resolve(nested) == resolve(dim)
    masks = random_masks([dim], rng)
    np.testing.assert_array_equal(over(nested, masks), over(dim, masks))


def test_products_and_concatenations_are_flat() -> None:
    a, b, c = fresh(2), fresh(3), fresh(4)
    assert product(a, product(b, c)) == product(product(a, b), c) == Product((a, b, c))
    assert concat(a, concat(b, c)) == Concat((a, b, c))
    assert product(ONE, a, ONE) is a
    assert concat(a, NOTHING) is a
    assert product() == ONE


def test_a_product_is_distributed_over_the_concatenations_in_front() -> None:
    a, b, c, d = fresh(2), fresh(3), fresh(4), fresh(5)
    assert product(concat(a, b), c) == Concat((Product((a, c)), Product((b, c))))
    assert product(d, concat(a, b)) == Product((d, Concat((a, b))))
    assert product(d, concat(a, b), c) == Product((d, Concat((Product((a, c)), Product((b, c))))))


def test_an_order_goes_as_far_inside_as_it_can() -> None:
    a, b, c = fresh(2), fresh(3), fresh(4)
    assert take(concat(a, b), [2, 3, 4, 0, 1]) == concat(b, a)
    assert take(concat(a, b), [4, 3, 2, 1, 0]) == concat(Take(b, (2, 1, 0)), Take(a, (1, 0)))
    assert take(product(a, b), [5, 4, 3, 2, 1, 0]) == product(Take(a, (1, 0)), Take(b, (2, 1, 0)))
    assert take(product(a, b), [0, 2, 1, 3, 5, 4]) == product(a, Take(b, (0, 2, 1)))
    assert take(take(c, [1, 2, 3, 0]), [3, 0, 1, 2]) is c
    assert take(take(c, [1, 2, 3, 0]), [0, 1, 3, 2]) == Take(c, (1, 2, 0, 3))
    assert take(ONE, [0, 0, 0]) == concat(ONE, ONE, ONE)
    assert take(concat(a, b, c), [0, 2, 1, 3, 4, 8, 7, 6, 5]) == concat(
        Take(concat(a, b), (0, 2, 1, 3, 4)), Take(c, (3, 2, 1, 0))
    )


def test_an_order_follows_its_source() -> None:
    a, b, c = fresh(6), fresh(2), fresh(3)
    assert isinstance(a, Var)
    flipped = take(a, [5, 4, 3, 2, 1, 0])
    assert flipped == Take(a, (5, 4, 3, 2, 1, 0))
    a.link = Product((b, c))
    assert resolve(flipped) == product(Take(b, (1, 0)), Take(c, (2, 1, 0)))


def test_links_are_followed() -> None:
    a, b, c = fresh(6), fresh(2), fresh(3)
    assert isinstance(a, Var)
    a.link = Product((b, c))
    assert factors(a) == (b, c)
    assert list(variables(concat(a, a))) == [b, c, b, c]


def test_a_pin_says_why_and_where() -> None:
    assert str(Pin("softmax", "softmax_1")) == "softmax (at softmax_1)"
    assert str(Pin("kept: weight dim 0")) == "kept: weight dim 0"
    axis = fresh(3, Pin("softmax"))
    assert repr(axis).startswith("!")
