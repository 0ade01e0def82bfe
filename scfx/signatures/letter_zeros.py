"""Where sums of products of operands are zero, letter by letter."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import reduce

import numpy as np

from scfx.signatures.binding import Binding
from scfx.terms.facts import Fact, Mask, Zeros, both, either, project, unknown


def letter_masks(bound: Binding, name: str, zeros: Zeros) -> dict[str, Mask | None]:
    """Where an operand is zero along each of its letters, whatever the others are."""
    masks: dict[str, Mask | None] = {}
    if not zeros.anywhere:
        return masks
    for letters, fact in zip(bound.operand(name), zeros.dims, strict=True):
        found = project(fact, [bound.sizes[x] for x in letters]) if letters else ()
        for letter, mask in zip(letters, found, strict=True):
            old = masks.get(letter)
            masks[letter] = mask if old is None else old if mask is None else old | mask
    return masks


def wide(bound: Binding, letters: Collection[str]) -> list[str]:
    """The letters of a dim, without those of size 1."""
    return [x for x in letters if bound.sizes[x] != 1]


def along_large(bound: Binding, terms: list[list[str]], facts: Mapping[str, Zeros], letter: str) -> Fact:
    """Where a sum of products is zero along a letter of symbolic size, which may be channels times the batch.

    There is no mask of such a size; what the operands know by factors stays known by factors.
    """

    def of(term: list[str]) -> Fact:
        found = [
            fact
            for name in term
            if name in bound.names
            for fact, letters in zip(facts[name].dims, bound.operand(name), strict=True)
            if wide(bound, letters) == [letter]
        ]
        return reduce(either, found) if found else unknown(bound.sizes[letter])

    return reduce(both, map(of, terms)) if terms else unknown(bound.sizes[letter])


def where_any(names: Collection[str], known: Mapping[str, Mapping[str, Mask | None]], letter: str) -> Mask | None:
    """Where along a letter at least one of the operands is zero."""
    found = [mask for name in names if name in known and (mask := known[name].get(letter)) is not None]
    return np.logical_or.reduce(found) if found else None


def where_all(terms: list[list[str]], known: Mapping[str, Mapping[str, Mask | None]], letter: str) -> Mask | None:
    """Where along a letter a sum of products is zero: every term has a factor that is."""
    found = [where_any(term, known, letter) for term in terms]
    masks = [mask for mask in found if mask is not None]
    result = np.logical_and.reduce(masks) if masks and len(masks) == len(found) else None
    return result if result is not None and result.any() else None
