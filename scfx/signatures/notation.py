"""The notation signatures are written in: what an operator does to the dims of its operands.

    b (g i) *s, (g o) i *k, (g o) -> b (g o) *t

One word a dimension; equal letters are the same dimension; `(g o)` is a row-major product; `*s` stands for any number
of dimensions; `1` is a dimension of size 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

#: A dimension as the letters of its factors, outermost first; no letters: size 1. A star stays in the letter: ("*s",).
Factors = tuple[str, ...]

_TOKEN = re.compile(r"\(([^()]*)\)|(\*?[A-Za-z]\w*)|(1)(?!\w)|(\S+)")


class NotationError(ValueError):
    """A signature that can't be read."""


@dataclass(frozen=True)
class Signature:
    """A parsed signature: the dims of each operand and of each result."""

    operands: tuple[tuple[Factors, ...], ...]
    results: tuple[tuple[Factors, ...], ...]

    def __str__(self) -> str:
        sides = (", ".join(" ".join(map(_show, dims)) for dims in side) for side in (self.operands, self.results))
        return " -> ".join(sides)

    def stars(self) -> set[str]:
        """The letters that stand for any number of dimensions."""
        return {f for side in (self.operands, self.results) for dims in side for d in dims for f in d if f[0] == "*"}

    def expanded(self, ranks: Mapping[str, int]) -> Signature:
        """The signature with each `*s` written out as `s0 s1 ...`, as many as `ranks["*s"]` says."""

        def expand(dims: tuple[Factors, ...]) -> tuple[Factors, ...]:
            result: list[Factors] = []
            for dim in dims:
                if dim and dim[0][0] == "*":
                    result.extend((f"{dim[0][1:]}{index}",) for index in range(ranks[dim[0]]))
                else:
                    result.append(dim)
            return tuple(result)

        return Signature(tuple(map(expand, self.operands)), tuple(map(expand, self.results)))


def _show(dim: Factors) -> str:
    return dim[0] if len(dim) == 1 else f"({' '.join(dim)})" if dim else "1"


def _read_dims(text: str, whole: str) -> tuple[Factors, ...]:
    dims: list[Factors] = []
    for group, word, one, stray in _TOKEN.findall(text):
        if stray:
            raise NotationError(f"can't read {stray!r} in the signature {whole!r}")
        dims.append(tuple(group.split()) if group else () if one else (word,))
    return tuple(dims)


@cache
def read(text: str) -> Signature:
    """Parses a signature.

    Raises:
        NotationError: the text is no signature; the message says which word of which signature.
    """
    left, arrow, right = text.partition("->")
    if not arrow or "->" in right:
        raise NotationError(f"a signature has one '->' between operands and results: {text!r}")
    sides = (tuple(_read_dims(part, text) for part in side.split(",")) for side in (left, right))
    signature = Signature(*sides)
    for dims in (*signature.operands, *signature.results):
        if sum(1 for dim in dims if dim and dim[0][0] == "*") > 1:
            raise NotationError(f"two starred letters in one operand can't be told apart: {text!r}")
    return signature
