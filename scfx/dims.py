"""What one dimension of one tensor is made of.

A dim is an axis variable, a row-major product of dims (what `view` makes) or a concatenation of dims (what `cat`
makes). A dimension of size 1 is the empty product `ONE`, so broadcasting and squeezing need no special cases.
Unification (`scfx.unify`) links variables; everything here only reads those links.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod


@dataclass(frozen=True)
class Pin:
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


Dim = Var | Product | Concat
ONE = Product(())
NOTHING = Concat(())


def resolve(dim: Dim) -> Dim:
    """The dim with links followed, in canonical form: flat, and a concatenation only at the end of a product."""
    if isinstance(dim, Var):
        if dim.link is None:
            return dim
        dim.link = resolve(dim.link)
        return dim.link
    if isinstance(dim, Product):
        return product(*dim.parts)
    return concat(*dim.parts)


def product(*parts: Dim) -> Dim:
    """Row-major product in canonical form: `p * (a + b) * r` becomes `p * (a * r + b * r)`."""
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
    return flat[0] if len(flat) == 1 else Product(tuple(flat))


def concat(*parts: Dim) -> Dim:
    """Concatenation in canonical form: flat, without empty parts."""
    flat: list[Dim] = []
    for part in parts:
        part = resolve(part)
        if part.size:
            flat.extend(part.parts if isinstance(part, Concat) else (part,))
    return flat[0] if len(flat) == 1 else Concat(tuple(flat)) if flat else NOTHING


def variables(dim: Dim) -> Iterator[Var]:
    """Every axis variable that a dim is made of, resolved, with repetitions."""
    dim = resolve(dim)
    if isinstance(dim, Var):
        yield dim
    else:
        for part in dim.parts:
            yield from variables(part)


def factors(dim: Dim) -> tuple[Dim, ...]:
    """The factors of a resolved dim, outermost first; a dim that is no product is its own only factor."""
    dim = resolve(dim)
    return dim.parts if isinstance(dim, Product) else (dim,)
