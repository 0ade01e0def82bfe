"""A signature applied to one call: the size and the dim of each letter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from scfx.signatures.call import Call
from scfx.signatures.notation import Factors, Signature
from scfx.terms.dims import Dim, product
from scfx.terms.symbolic import of_size, size_text

#: The sizes of a tensor's dims.
Shape = tuple[int, ...]

#: What a signature says of one tensor, its shape, and what messages call it.
Side = tuple[tuple[Factors, ...], Shape, str]


class SignatureError(Exception):
    """A call that doesn't fit its record's signature."""


@dataclass(slots=True)
class Binding:
    """A signature applied to one call.

    Attributes:
        signature: The signature of the operands that are there, stars written out.
        names: The schema arguments behind its operands.
        ranks: How many dims each star stands for.
        sizes: The size of each letter.
        dims: The dim of each letter.
        named: What `letters` has found before, for this call or another with the same sizes.
    """

    signature: Signature
    names: tuple[str, ...]
    ranks: Mapping[str, int]
    sizes: Mapping[str, int]
    dims: dict[str, Dim]
    named: dict[str, tuple[str, ...]]

    def operand(self, name: str) -> tuple[Factors, ...]:
        return self.signature.operands[self.names.index(name)]

    def letters(self, words: str) -> tuple[str, ...]:
        """The letters that words name; a starred word names as many as it stands for."""
        if words not in self.named:
            self.named[words] = tuple(
                letter
                for word in words.split()
                for letter in ([f"{word[1:]}{n}" for n in range(self.ranks.get(word, 0))] if word[0] == "*" else [word])
                if letter in self.sizes
            )
        return self.named[words]


def bind_letters(
    call: Call, full: Signature, operands: Sequence[str], same_ranks: Mapping[str, str], known: Mapping[str, int]
) -> Binding:
    """Applies a signature to a call: finds all sizes, then unifies what equal letters say is equal.

    Args:
        call: The call.
        full: The signature of all operands.
        operands: The schema argument behind each operand; those that are absent are left out.
        same_ranks: Starred letters that stand for as many dims as another one.
        known: Letters whose size is known beforehand.

    Raises:
        SignatureError: the shapes don't fit.
    """
    given = tuple([name for name in operands if name in call.operands])
    shapes = tuple([call.shape(name) for name in given]), call.result_shapes
    signature, ranks, sizes, named = _fitted(
        full, tuple(operands), given, shapes, tuple(same_ranks.items()), tuple(known.items())
    )
    dims: dict[str, Dim] = {}
    for name, pattern in zip(given, signature.operands, strict=True):
        for dim, letters in zip(call.operands[name], pattern, strict=True):
            if len(letters) == 1 and letters[0] not in dims:
                dims[letters[0]] = dim
                continue
            for letter in letters:
                if letter not in dims:
                    dims[letter] = call.fresh(sizes[letter])
            call.unify(dim, dims[letters[0]] if len(letters) == 1 else product(*(dims[letter] for letter in letters)))
    for letter, size in sizes.items():
        if letter not in dims:
            dims[letter] = call.fresh(size)
    return Binding(signature, given, ranks, sizes, dims, named)


@lru_cache(maxsize=8192)
def _fitted(
    full: Signature,
    operands: tuple[str, ...],
    given: tuple[str, ...],
    shapes: tuple[tuple[Shape, ...], tuple[Shape, ...]],
    same: tuple[tuple[str, str], ...],
    known: tuple[tuple[str, int], ...],
) -> tuple[Signature, Mapping[str, int], Mapping[str, int], dict[str, tuple[str, ...]]]:
    """The signature of the operands that are there, stars written out, and what stars and letters stand for.

    Shapes recur: in both graphs, in every layer of a kind, and whenever a model is analysed again.
    """
    signature = Signature(tuple(full.operands[operands.index(name)] for name in given), full.results)
    sides = [*zip(signature.operands, shapes[0], given, strict=True)]
    sides += [(p, shape, "the result") for p, shape in zip(signature.results, shapes[1], strict=False)]
    ranks = _ranks(sides, same)
    signature = signature.expanded(ranks)
    sides = [(p, s, n) for p, (_, s, n) in zip((*signature.operands, *signature.results), sides, strict=False)]
    return signature, ranks, _solved(sides, dict(known)), {}


def _ranks(sides: Collection[Side], same: Collection[tuple[str, str]]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for pattern, shape, name in sides:
        rank = len(shape)
        star = next((dim[0] for dim in pattern if dim and dim[0][0] == "*"), None)
        if star is None and len(pattern) != rank:
            raise SignatureError(f"{name} has {rank} dims where the signature says {len(pattern)}")
        if star is not None and ranks.setdefault(star, rank - len(pattern) + 1) != rank - len(pattern) + 1:
            raise SignatureError(f"{star} stands for {ranks[star]} dims and, in {name}, for {rank - len(pattern) + 1}")
    for star, other in same:
        if star in ranks and other in ranks and ranks[star] != ranks[other]:
            raise SignatureError(f"{star} stands for {ranks[star]} dims and {other} for {ranks[other]}")
    if any(rank < 0 for rank in ranks.values()):
        raise SignatureError("an operand has fewer dims than the signature says")
    return ranks


def _solved(sides: Collection[Side], known: Mapping[str, int]) -> dict[str, int]:
    """The letters' sizes from the shapes. One with several unknown letters waits until others have told all but one."""
    sizes = dict(known)
    open_dims = [
        (letters, size, name) for pattern, shape, name in sides for letters, size in zip(pattern, shape, strict=True)
    ]
    while open_dims:
        waiting = []
        for letters, size, name in open_dims:
            unknown = [x for x in letters if x not in sizes]
            given = prod(sizes[x] for x in letters if x in sizes)
            if len(unknown) > 1:
                waiting.append((letters, size, name))
            elif unknown and (given == 0 or size % given):
                raise SignatureError(f"a dim of {of_size(size)} in {name} is no multiple of {size_text(given)}")
            elif unknown:
                sizes[unknown[0]] = size // given
            elif given != size:
                raise SignatureError(f"a dim of {name} has {of_size(size)} where the signature says {size_text(given)}")
        if len(waiting) == len(open_dims):
            letters, _, name = waiting[0]
            raise SignatureError(f"the sizes of {' and '.join(letters)} in {name} can't be told apart")
        open_dims = waiting
    return sizes
