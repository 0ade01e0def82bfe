"""How size arguments change when channels go."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod
from typing import Any

from scfx.signatures.call import Call
from scfx.signatures.record import Kept
from scfx.terms.dims import Concat, Dim, Take, Var, resolve
from scfx.terms.facts import LARGE


@dataclass(frozen=True)
class Scaled:
    """A symbolic size argument that becomes `node * numerator // denominator`."""

    node: Any
    numerator: int
    denominator: int


def kept_size(dim: Dim, kept: Kept) -> int:
    """How many indices of a dim stay. Symbolic axes stay as they are."""
    dim = resolve(dim)
    if isinstance(dim, Var):
        return dim.size if dim.pin is not None or dim.size > LARGE else int(kept(dim).sum())
    if isinstance(dim, Take):
        return int(kept(dim).sum())
    sizes = [kept_size(part, kept) for part in dim.parts]
    return sum(sizes) if isinstance(dim, Concat) else prod(sizes)


def scaled(value: Any, new: int, old: int) -> Any:
    """A size argument of `old` turned into `new`: a number, or arithmetic on the node that makes it."""
    if isinstance(value, int):
        return new
    shared = gcd(new, old)
    return Scaled(value, new // shared, old // shared)


def resized_list(call: Call, argument: str, dims: list[Dim], kept: Kept) -> dict[str, Any]:
    """The new value of an argument that lists the sizes of `dims`, where any of them shrinks; -1 stays."""
    values = list(call.arguments[argument])
    for index, dim in enumerate(dims):
        size = kept_size(dim, kept)
        if size != dim.size and call.integer(values[index]) != -1:
            values[index] = scaled(values[index], size, dim.size)
    return {argument: values} if values != list(call.arguments[argument]) else {}
