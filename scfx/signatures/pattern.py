"""Records written in the notation: one line says what lines up, and each letter is of one kind.

A letter is *pointwise* (the operator treats each index on its own), *contracted* (summed over products), a *statistic*
(summed over, and the original count can be kept), *free* (made by the operator) or else rigid: a dim that a record
doesn't speak of is pinned.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from scfx.dims import ONE, Dim, product
from scfx.facts import Fact, Mask, Zeros, project
from scfx.signatures.call import Call, Dims, Sink
from scfx.signatures.notation import Factors, Signature, read
from scfx.signatures.record import Kept, Operator, Replacement
from scfx.signatures.resizing import kept_size, resized_list


class SignatureError(Exception):
    """A call that doesn't fit its record's signature."""


@dataclass(frozen=True)
class Binding:
    """A signature applied to one call: the dim and size of each letter."""

    signature: Signature
    names: tuple[str, ...]
    sizes: Mapping[str, int]
    dims: Mapping[str, Dim]

    def operand(self, name: str) -> tuple[Factors, ...]:
        return self.signature.operands[self.names.index(name)]


@dataclass(frozen=True, kw_only=True)
class Pattern(Operator):
    """An operator whose signature the notation can say.

    Attributes:
        signature: The dims of each operand and result.
        operands: The schema argument behind each operand of the signature.
        pointwise, contract, statistic, free: The kind of each letter, separated by spaces; any other letter is rigid.
        reasons: For rigid letters, why, as a person would say it.
        sizes: Letters whose size an integer argument holds; the argument shrinks with them.
        size_lists: Arguments that list sizes, as the dims they are the sizes of ("result" means those of the result).
        ranks: Starred letters that stand for as many dims as another one does.
        zero: The result as a sum of products of operands, for zeros; a name that is no operand is never zero. It holds for
            the first result; of further ones (indices, statistics) nothing is said.
        counted: The operator that takes over, with the original count, once a statistic's dim shrinks.
        count_of: The argument of `counted` that takes the original size of each statistic letter.
        weight: The operand that is a weight to quantize.
    """

    signature: str
    operands: tuple[str, ...] = ("self",)
    pointwise: str = ""
    contract: str = ""
    statistic: str = ""
    free: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=dict)
    size_lists: Mapping[str, str] = field(default_factory=dict)
    ranks: Mapping[str, str] = field(default_factory=dict)
    zero: str = ""
    counted: str | None = None
    weight: str | None = None

    # ------------------------------------------------------------------ dims

    def infer(self, call: Call) -> tuple[Dims, ...]:
        bound = self._bind(call)
        call.binding = bound
        results = tuple(
            tuple(product(*(bound.dims[letter] for letter in dim)) for dim in dims) for dims in bound.signature.results
        )
        for kind in ("contract", "statistic"):
            for letter in self._letters(kind, bound):
                if bound.sizes[letter] != 1:
                    call.sinks.append(Sink(kind, letter, bound.dims[letter]))
        return results

    def _letters(self, kind: str, bound: Binding) -> list[str]:
        names = getattr(self, kind).split()
        return [x for name in names for x in (bound.sizes if name[0] == "*" else (name,)) if _of(x, name, bound)]

    def _bind(self, call: Call) -> Binding:
        given = [name for name in self.operands if name in call.operands]
        full = read(self.signature)
        signature = Signature(tuple(full.operands[self.operands.index(name)] for name in given), full.results)
        ranks = self._ranks(signature, call, given)
        signature = signature.expanded(ranks)
        sizes = {letter: call.integer(call.arguments[argument]) for letter, argument in self.sizes.items()}
        for name, pattern in zip(given, signature.operands, strict=True):
            if len(pattern) != call.rank(name):
                raise SignatureError(f"{name} has {call.rank(name)} dims where the signature says {len(pattern)}")
            _solve(pattern, call.shape(name), sizes, name)
        for shape, pattern in zip(call.result_shapes, signature.results, strict=False):
            if len(pattern) != len(shape):
                raise SignatureError(f"a result has {len(shape)} dims where the signature says {len(pattern)}")
            _solve(pattern, shape, sizes, "the result")
        kinds = self._kinds(sizes, ranks)
        dims: dict[str, Dim] = {}
        for name, pattern in zip(given, signature.operands, strict=True):
            for dim, letters in zip(call.operands[name], pattern, strict=True):
                if len(letters) == 1 and letters[0] not in dims:
                    dims[letters[0]] = dim
                    continue
                for letter in letters:
                    if letter not in dims:
                        dims[letter] = call.fresh(sizes[letter])
                call.unify(dim, product(*(dims[letter] for letter in letters)))
        for letter, size in sizes.items():
            if letter not in dims:
                dims[letter] = call.fresh(size)
            if letter not in kinds:
                call.pin(dims[letter], self._reason(letter))
        return Binding(signature, tuple(given), sizes, dims)

    def _ranks(self, signature: Signature, call: Call, given: list[str]) -> dict[str, int]:
        ranks: dict[str, int] = {}
        sides = [*((pattern, call.rank(name)) for name, pattern in zip(given, signature.operands, strict=True))]
        sides += [(p, len(s)) for p, s in zip(signature.results, call.result_shapes, strict=False)]
        for pattern, rank in sides:
            for dim in pattern:
                if dim and dim[0][0] == "*":
                    ranks.setdefault(dim[0], rank - len(pattern) + 1)
        for star, other in self.ranks.items():
            if star in ranks and other in ranks and ranks[star] != ranks[other]:
                raise SignatureError(f"{star} stands for {ranks[star]} dims and {other} for {ranks[other]}")
        if any(rank < 0 for rank in ranks.values()):
            raise SignatureError("an operand has fewer dims than the signature says")
        return ranks

    def _kinds(self, sizes: Mapping[str, int], ranks: Mapping[str, int]) -> set[str]:
        names = f"{self.pointwise} {self.contract} {self.statistic} {self.free}".split()
        kinds = {name for name in names if name[0] != "*"}
        for star in (name for name in names if name[0] == "*"):
            kinds.update(f"{star[1:]}{index}" for index in range(ranks.get(star, 0)))
        return kinds

    def _reason(self, letter: str) -> str:
        star = "*" + letter.rstrip("0123456789")
        return self.reasons.get(letter) or self.reasons.get(star) or f"{self.short} isn't independent along it"

    @property
    def short(self) -> str:
        """The operator's name as people say it."""
        return self.targets[0].split(".")[1]

    # ----------------------------------------------------------------- zeros

    def zeros(self, call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        bound = _binding(call)
        known = {name: self._letter_masks(bound, name, facts[name]) for name in bound.names}
        terms = self._terms(call)
        whole = all(
            any(facts[name].whole for name in term if name in known) or self._emptied(bound, term, known) for term in terms
        )
        results: list[Zeros] = []
        for number, dims in enumerate(bound.signature.results):
            if number:
                results.append(Zeros.unknown([prod(bound.sizes[x] for x in dim) for dim in dims]))
                continue
            made = (
                Fact(
                    tuple(bound.sizes[x] for x in dim) or (1,),
                    tuple(self._sum(x, terms, known, facts) for x in dim) or (None,),
                )
                for dim in dims
            )
            results.append(Zeros.of(made, whole))
        return tuple(results)

    def _terms(self, call: Call) -> list[list[str]]:
        """The products that the result is a sum of. An absent operand is the neutral element: no term, or factor one."""
        terms = [[name.strip() for name in term.split("*")] for term in self.zero.split("+")] if self.zero else [["?"]]
        present = [[n for n in term if n in call.operands or n not in self.operands] for term in terms]
        return [
            kept or ["?"] for kept, term in zip(present, terms, strict=True) if kept or len(term) > 1
        ]

    def _letter_masks(self, bound: Binding, name: str, zeros: Zeros) -> dict[str, Mask | None]:
        masks: dict[str, Mask | None] = {}
        for letters, fact in zip(bound.operand(name), zeros.dims, strict=True):
            if not letters:
                continue
            for letter, mask in zip(letters, project(fact, [bound.sizes[x] for x in letters]), strict=True):
                old = masks.get(letter)
                masks[letter] = mask if old is None else old if mask is None else old | mask
        return masks

    def _sum(
        self, letter: str, terms: list[list[str]], known: Mapping[str, Mapping[str, Mask | None]], facts: Mapping[str, Zeros]
    ) -> Mask | None:
        """Where along a letter the whole sum is zero: every term has a factor that is."""
        result: Mask | None = None
        for term in terms:
            if any(facts[name].whole for name in term if name in known):
                continue
            found = [m for name in term if name in known and (m := known[name].get(letter)) is not None]
            if not found:
                return None
            term_mask = np.logical_or.reduce(found)
            result = term_mask if result is None else result & term_mask
        return result if result is not None and result.any() else None

    def _emptied(self, bound: Binding, term: list[str], known: Mapping[str, Mapping[str, Mask | None]]) -> bool:
        """Whether the factors of a term leave nothing to sum over."""
        for letter in self._letters("contract", bound):
            found = [m for name in term if name in known and (m := known[name].get(letter)) is not None]
            if found and bool(np.logical_or.reduce(found).all()):
                return True
        return False

    def sink_zeros(self, call: Call, facts: Mapping[str, Zeros]) -> Mapping[str, Mask | None]:
        bound = _binding(call)
        result: dict[str, Mask | None] = {}
        for sink in call.sinks:
            masks: list[Mask] = []
            # A statistic is taken of the first operand; a contraction vanishes where any of its factors does.
            names = bound.names[:1] if sink.kind == "statistic" else self._factors_with(bound, sink.letter)
            for name in names:
                if facts[name].whole and bound.sizes[sink.letter] < 2**26:
                    masks.append(np.ones(bound.sizes[sink.letter], bool))
                elif (mask := self._letter_masks(bound, name, facts[name]).get(sink.letter)) is not None:
                    masks.append(mask)
            result[sink.letter] = np.logical_or.reduce(masks) if masks else None
        return result

    def _factors_with(self, bound: Binding, letter: str) -> list[str]:
        """The operands that share a product with the contracted letter: any of them can make it vanish."""
        terms = [[n.strip() for n in term.split("*")] for term in self.zero.split("+")]
        carrying = [term for term in terms if any(n in bound.names and any(letter in d for d in bound.operand(n)) for n in term)]
        if len(carrying) != 1:
            return []
        return [name for name in carrying[0] if name in bound.names]

    # ---------------------------------------------------------------- resize

    def resize(self, call: Call, kept: Kept) -> Replacement | None:
        bound = _binding(call)
        changed: dict[str, Any] = {}
        for letter, argument in self.sizes.items():
            size = kept_size(bound.dims[letter], kept)
            if size != bound.sizes[letter]:
                changed[argument] = size
        for argument, letters in self.size_lists.items():
            if letters == "result":
                dims = [product(*(bound.dims[x] for x in dim)) for dim in bound.signature.results[0]]
            else:
                dims = [bound.dims.get(x, ONE) for x in letters.split()]
            changed |= resized_list(call, argument, dims, kept)
        target = None
        statistics = self._letters("statistic", bound) if self.counted else []
        if any(kept_size(bound.dims[letter], kept) != bound.sizes[letter] for letter in statistics):
            target = self.counted
            if "count" not in call.arguments:  # a counted operator has the original number already
                changed["count"] = prod(bound.sizes[letter] for letter in statistics)
        return Replacement(changed, target) if changed or target else None

    def factors(self, call: Call) -> Collection[str]:
        terms = [term for term in self._terms(call) if len(term) > 1]
        return [name for term in terms for name in term[1:]]

    def weights(self, call: Call) -> Mapping[str, tuple[tuple[tuple[bool, int], ...], ...]]:
        bound = _binding(call)
        if self.weight is None or self.weight not in bound.names:
            return {}
        outputs = {letter for dims in bound.signature.results for dim in dims for letter in dim}
        return {
            self.weight: tuple(
                tuple((letter in outputs, bound.sizes[letter]) for letter in dim) for dim in bound.operand(self.weight)
            )
        }


def _binding(call: Call) -> Binding:
    assert isinstance(call.binding, Binding)
    return call.binding


def _of(letter: str, name: str, bound: Binding) -> bool:
    if name[0] != "*":
        return letter in bound.sizes
    return letter[: len(name) - 1] == name[1:] and letter[len(name) - 1 :].isdigit()


def _solve(pattern: tuple[Factors, ...], shape: tuple[int, ...], sizes: dict[str, int], name: str) -> None:
    """Finds the letters' sizes from an operand's shape."""
    for letters, size in zip(pattern, shape, strict=True):
        open_letters = [x for x in letters if x not in sizes]
        given = prod(sizes[x] for x in letters if x in sizes)
        if len(open_letters) > 1:
            raise SignatureError(f"the sizes of {' and '.join(open_letters)} in {name} can't be told apart")
        if open_letters:
            if given == 0 or size % given:
                raise SignatureError(f"a dim of size {size} in {name} is no multiple of {given}")
            sizes[open_letters[0]] = size // given
        elif given != size:
            raise SignatureError(f"a dim of {name} has size {size} where the signature says {given}")
