"""What one dimension of one tensor is made of.

A dim is an axis variable, a row-major product of dims (what `view` makes), a concatenation of dims (what `cat` makes)
or the indices of another dim in some order (what `flip` makes). A dimension of size 1 is the empty product `ONE`, so
broadcasting and squeezing need no special cases. Unification (`scfx.terms.unify`) links variables; everything here only
reads those links.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Pin(NamedTuple):
    """Why the channels of an axis may not be removed: a reason for people, and the graph node to blame."""

    reason: str
    node: str | None = None

    def __str__(self) -> str:
        return f"{self.reason} (at {self.node})" if self.node else self.reason


class Var:
    """An axis variable of `size` channels: free, linked to another dim by unification, or pinned with a reason."""

    __slots__ = ("link", "pin", "size")

    def __init__(self, size: int, pin: Pin | None = None) -> None:
        self.size = size
        self.link: Dim | None = None
        self.pin = pin

    def __repr__(self) -> str:
        if self.link is not None:
            return repr(resolve(self))
        return f"{'!' if self.pin else ''}v{id(self) % 9973}[{self.size}]"


def fresh(size: int, pin: Pin | None = None) -> Dim:
    """A new free axis of `size` channels. One channel can't go: that is the empty product."""
    return Var(size, pin) if size > 1 else ONE if size else NOTHING


@dataclass(frozen=True)
class Product:
    """Row-major product of dims: the index along it is (index along parts[0], index along parts[1], ...)."""

    parts: tuple[Dim, ...]

    @cached_property
    def size(self) -> int:
        return prod(part.size for part in self.parts)


@dataclass(frozen=True)
class Concat:
    """Concatenation of dims, one after the other."""

    parts: tuple[Dim, ...]

    @cached_property
    def size(self) -> int:
        return sum(part.size for part in self.parts)


@dataclass(frozen=True)
class Take:
    """The indices of another dim in some order: index i of it is index `indices[i]` of `source`.

    Each index of the source is taken, once or more. So a dim is never empty while each of its axes has a channel left.
    """

    source: Dim
    indices: tuple[int, ...]

    @property
    def size(self) -> int:
        return len(self.indices)

    @property
    def parts(self) -> tuple[Dim]:
        return (self.source,)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The indices as an array."""
        return np.asarray(self.indices, np.int64)


Dim = Var | Product | Concat | Take
ONE = Product(())
NOTHING = Concat(())


def resolve(dim: Dim) -> Dim:
    """The dim with links followed, in canonical form: flat, and a concatenation only at the end of a product."""
    if isinstance(dim, Var):
        if dim.link is None:
            return dim
        dim.link = resolve(dim.link)
        return dim.link
    if not isinstance(dim, Take) and _is_canonical(dim):
        return dim
    if isinstance(dim, Product):
        return product(*dim.parts) if dim.parts else ONE
    if isinstance(dim, Take):
        return dim if resolve(dim.source) == dim.source else take(dim.source, dim.order)
    return concat(*dim.parts)


def _is_canonical(dim: Product | Concat) -> bool:
    """Whether nothing has changed since the dim was made in canonical form; then it need not be made again."""
    parts, of_product = dim.parts, isinstance(dim, Product)
    if len(parts) == 1:
        return False
    for part in parts:
        if part is ONE and not of_product:
            continue
        if isinstance(part, Var):
            if part.link is not None:
                return False
        else:
            nested = isinstance(part, Product) or part is not parts[-1] if of_product else isinstance(part, Concat)
            if nested or not part.size or resolve(part) is not part:
                return False
    return True


def product(*parts: Dim) -> Dim:
    """Row-major product in canonical form: `p * (a + b) * r` becomes `p * (a * r + b * r)`."""
    if len(parts) == 1:
        part = resolve(parts[0])
        return part if part.size else NOTHING
    flat: list[Dim] = []
    for part in parts:
        part = resolve(part)
        if part.size == 0:
            return NOTHING
        flat.extend(part.parts if isinstance(part, Product) else (part,))
    for index, part in enumerate(flat[:-1]):
        if isinstance(part, Concat):
            flat[index:] = [concat(*(product(segment, *flat[index + 1 :]) for segment in part.parts))]
            break
    return flat[0] if len(flat) == 1 else Product(tuple(flat)) if flat else ONE


def concat(*parts: Dim) -> Dim:
    """Concatenation in canonical form: flat, without empty parts."""
    flat: list[Dim] = []
    for part in parts:
        if part is ONE:
            flat.append(part)
            continue
        part = resolve(part)
        if part.size:
            flat.extend(part.parts if isinstance(part, Concat) else (part,))
    return flat[0] if len(flat) == 1 else Concat(tuple(flat)) if flat else NOTHING


def take(source: Dim, indices: Sequence[int] | NDArray[np.int64]) -> Dim:
    """The indices of a dim in some order, each of them once or more, in canonical form: as far inside as it goes."""
    source, order = resolve(source), np.asarray(indices, np.int64)
    if isinstance(source, Take):
        order = source.order[order]
        source = source.source
    if len(order) == source.size and bool((order == np.arange(source.size)).all()):
        return source
    if source == ONE:
        return concat(*(ONE for _ in order))
    if isinstance(source, Concat):
        return _take_segments(source, order)
    if isinstance(source, Product) and (orders := apart(order, [part.size for part in source.parts])) is not None:
        return product(*map(take, source.parts, orders))
    return Take(source, tuple(order.tolist()))


def apart(order: NDArray[np.int64], sizes: Sequence[int]) -> list[NDArray[np.int64]] | None:
    """Indices of a row-major product as those of each factor; None if they are no row-major product of such."""
    coordinates = np.unravel_index(order, sizes)
    lengths = [len(np.unique(along)) for along in coordinates]
    if prod(lengths) != len(order):
        return None
    tables = [np.moveaxis(along.reshape(lengths), n, 0) for n, along in enumerate(coordinates)]
    tables = [table.reshape(length, -1) for table, length in zip(tables, lengths, strict=True)]
    fits = all(bool((table == table[:, :1]).all()) for table in tables)
    return [table[:, 0] for table in tables] if fits else None


def _take_segments(source: Concat, order: NDArray[np.int64]) -> Dim:
    """Wherever no segment lies on both sides, what lies in front and what lies behind stand on their own."""
    sizes = [part.size for part in source.parts]
    starts = np.cumsum([0, *sizes[:-1]])
    segments = np.searchsorted(starts, order, "right") - 1
    positions = np.arange(len(order))
    last = np.zeros(len(sizes), np.int64)
    np.maximum.at(last, segments, positions)
    made: list[Dim] = []
    begin = 0
    ends = np.flatnonzero(np.maximum.accumulate(last[segments]) == positions) + 1
    for end in ends.tolist():
        made.append(_block(source, starts, segments[begin:end], order[begin:end]))
        begin = end
    return concat(*made)


def _block(source: Concat, starts: NDArray[Any], segments: NDArray[Any], order: NDArray[np.int64]) -> Dim:
    """Segments in an order that mixes them: each axis once, in the order in which they come first."""
    used = list(dict.fromkeys(segments.tolist()))
    if len(used) == 1:
        return take(source.parts[used[0]], order - starts[used[0]])
    places: dict[Dim, int] = {}
    size = 0
    found = np.zeros(len(order), np.int64)
    for segment in used:
        part = source.parts[segment]
        inner = part.source if isinstance(part, Take) else part
        position: list[NDArray[np.int64]] = []
        for piece in inner.parts if isinstance(inner, Concat) else (inner,):
            if piece not in places:
                places[piece] = size
                size += piece.size
            position.append(places[piece] + np.arange(piece.size))
        along = np.concatenate(position)
        here = segments == segment
        found[here] = (along[part.order] if isinstance(part, Take) else along)[order[here] - starts[segment]]
    whole = concat(*places)
    return Take(whole, tuple(found.tolist())) if whole == source else take(whole, found)


def variables(dim: Dim) -> Iterator[Var]:
    """Every axis variable that a dim is made of, resolved, with repetitions."""
    dim = resolve(dim)
    if isinstance(dim, Var):
        yield dim
        return
    for part in dim.parts:  # which are resolved, as it is
        if isinstance(part, Var):
            yield part
        elif part is not ONE:
            yield from variables(part)


def factors(dim: Dim) -> tuple[Dim, ...]:
    """The factors of a resolved dim, outermost first; a dim that is no product is its own only factor."""
    dim = resolve(dim)
    return dim.parts if isinstance(dim, Product) else (dim,)
