"""Unification: two dims that must line up one to one are made equal, splitting axes where sizes divide.

What cannot be aligned is pinned with a reason, never guessed, so that a missing rule costs compression and not
correctness. Unification is idempotent: repeating it changes nothing.
"""

from __future__ import annotations

from math import gcd

from scfx.terms.dims import (
    NOTHING,
    Concat,
    Dim,
    Pin,
    Product,
    Take,
    Var,
    concat,
    factors,
    fresh,
    product,
    resolve,
    take,
    variables,
)
from scfx.terms.places import merge, pick
from scfx.terms.symbolic import is_symbolic, of_size

__all__ = ["MAX_ROWS", "SizeMismatchError", "cut", "fresh", "pin", "unify"]

#: Above this many rows (a symbolic size, say) a concatenation isn't taken apart row by row.
MAX_ROWS = 4096


class SizeMismatchError(Exception):
    """Two dims of different sizes were said to be equal: a rule that doesn't fit its operator."""


def pin(dim: Dim, because: Pin) -> None:
    """Pins every axis in the dim. The first reason given to an axis is the one that stays."""
    for variable in variables(dim):
        if variable.pin is None:
            variable.pin = because


def unify(a: Dim, b: Dim, because: Pin) -> None:
    """Makes two dims one; `because` is blamed for pins where they can't be aligned.

    Raises:
        SizeMismatchError: the sizes differ.
    """
    a, b = resolve(a), resolve(b)
    if a is b or a == b:
        return
    if a.size != b.size:
        if is_symbolic(a.size) and is_symbolic(b.size):
            raise SizeMismatchError("sizes that vary aren't known to be equal")
        raise SizeMismatchError(f"a dim of {of_size(a.size)} can't be one of {of_size(b.size)}")
    if isinstance(a, Var) and a not in variables(b):
        _link(a, b)
    elif isinstance(b, Var) and b not in variables(a):
        _link(b, a)
    elif isinstance(a, (Take, Var)) or isinstance(b, (Take, Var)):
        _unify_orders(a, b, because)
    elif isinstance(a, Concat) and isinstance(b, Concat):
        _unify_concats(list(a.parts), list(b.parts), because)
    elif isinstance(a, Concat):
        _unify_concat_with_product(a, factors(b), because)
    elif isinstance(b, Concat):
        _unify_concat_with_product(b, factors(a), because)
    else:
        _unify_products(list(a.parts), list(b.parts), because)


def _link(variable: Var, target: Dim) -> None:
    if isinstance(target, Var) and target.pin is None:
        target.pin = variable.pin
    variable.link = target
    if variable.pin is not None:
        pin(target, variable.pin)


def _unify_orders(a: Dim, b: Dim, because: Pin) -> None:
    """Channel by channel where both are made of single channels; else as whole dims, put into one order."""
    if merge(a, b):
        return
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Take) and x.size == x.source.size:
            sorted_back = take(y, x.order.argsort())
            if isinstance(x.source, Var) or not isinstance(sorted_back, Take):
                unify(x.source, sorted_back, because)
                return
    _misaligned([a, b], because)


def _misaligned(dims: list[Dim], because: Pin) -> None:
    for dim in dims:
        pin(dim, Pin(f"sizes that can't be aligned: {because.reason}", because.node))


def _unify_products(left: list[Dim], right: list[Dim], because: Pin) -> None:
    """Aligns factors from the front, then what is left of them from the back."""
    for end in (0, -1):
        while left and right:
            x, y = left[end], right[end]
            shared = gcd(x.size, y.size)
            if shared == 1:
                break
            for side, dim in ((left, x), (right, y)):
                if dim.size != shared:
                    outer, inner = (shared, dim.size // shared) if end == 0 else (dim.size // shared, shared)
                    pieces = [fresh(outer), fresh(inner)]
                    unify(dim, Product(tuple(pieces)), because)
                    side[slice(0, 1) if end == 0 else slice(-1, None)] = pieces
            unify(left.pop(end), right.pop(end), because)
    _misaligned(left + right, because)


def cut(dim: Dim, at: int) -> tuple[Dim, Dim] | None:
    """Splits a dim into its first `at` channels and the rest.

    Where that falls inside a row of a product, this row stands alone from then on. None: the product has too many rows.
    """
    dim = resolve(dim)
    if at in (0, dim.size):
        return (dim, NOTHING) if at else (NOTHING, dim)
    if isinstance(dim, Var):
        left, right = fresh(at, dim.pin), fresh(dim.size - at, dim.pin)
        dim.link = concat(left, right)
        return left, right
    if isinstance(dim, Take):
        first, last = pick(dim, range(at)), pick(dim, range(at, dim.size))
        return (first, last) if first is not None and last is not None else None
    if isinstance(dim, Product):
        return _cut_product(dim.parts[0], product(*dim.parts[1:]), at)
    before: list[Dim] = []
    for index, part in enumerate(dim.parts):
        if at < part.size:
            halves = cut(part, at)
            return halves and (concat(*before, halves[0]), concat(halves[1], *dim.parts[index + 1 :]))
        before.append(part)
        at -= part.size
    return None


def _cut_product(rows: Dim, inner: Dim, at: int) -> tuple[Dim, Dim] | None:
    whole, rest = divmod(at, inner.size)
    if rest and rows.size > MAX_ROWS:
        return None
    halves = cut(rows, whole)
    if halves is None or rest == 0:
        return halves and (product(halves[0], inner), product(halves[1], inner))
    behind, parts = cut(halves[1], 1), cut(inner, rest)
    if behind is None or parts is None:
        return None
    return concat(product(halves[0], inner), parts[0]), concat(parts[1], product(behind[1], inner))


def _unify_concats(left: list[Dim], right: list[Dim], because: Pin) -> None:
    while left and right:
        x, y = resolve(left[0]), resolve(right[0])
        if x.size == y.size:
            unify(left.pop(0), right.pop(0), because)
            continue
        longer, other = (left, y) if x.size > y.size else (right, x)
        halves = cut(longer[0], other.size)
        if halves is None:
            break
        longer[:1] = halves
    _misaligned(left + right, because)


def _unify_concat_with_product(whole: Concat, parts: tuple[Dim, ...], because: Pin) -> None:
    rows, inner = parts[0], product(*parts[1:])
    if all(segment.size % inner.size == 0 for segment in whole.parts):
        segments = [fresh(segment.size // inner.size) for segment in whole.parts]
        unify(rows, Concat(tuple(segments)), because)
        for segment, part in zip(segments, whole.parts, strict=True):
            unify(part, product(segment, inner), because)
        return
    for fixed, other in ((whole, product(*parts)), (product(*parts), whole)):
        if all(axis.pin is not None for axis in variables(fixed)):
            pin(other, Pin(f"single channels, or pinned ones: {because.reason}", because.node))
            return
    # The segments don't follow the rows: every row is the same run of segments, and rows can't go one by one.
    blocks = _blocks(whole, rows.size, inner.size) if rows.size < MAX_ROWS else None
    if blocks is None:
        _misaligned([whole, *parts], because)
        return
    for block in blocks:
        unify(inner, block, because)
    pin(rows, Pin(f"rows of a concatenation: {because.reason}", because.node))


def _blocks(whole: Concat, count: int, size: int) -> list[Dim] | None:
    """A concatenation cut into so many blocks of one size; None where some part can't be cut."""
    rest = list(whole.parts[::-1])
    blocks: list[Dim] = []
    for _ in range(count):
        block: list[Dim] = []
        left = size
        while left:
            part = rest.pop()
            if part.size > left:
                halves = cut(part, left)
                if halves is None:
                    return None
                part = halves[0]
                rest.append(halves[1])
            block.append(part)
            left -= part.size
        blocks.append(concat(*block))
    return blocks
