"""Records written in the notation: one line says what lines up, and each letter is of one kind.

A letter is *pointwise* (the operator treats each index on its own), *contracted* (summed over products), a *statistic*
(summed over, and the original count can be kept), *free* (made by the operator) or else rigid: a dim that a record
doesn't speak of is pinned.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np

from scfx.signatures.binding import Binding, SignatureError, bind_letters
from scfx.signatures.call import Call, Dims, Sink
from scfx.signatures.letter_zeros import along_large, letter_masks, where_all, where_any, wide
from scfx.signatures.notation import read
from scfx.signatures.record import Kept, Operator, Replacement
from scfx.signatures.resizing import kept_size, resized_list, scaled
from scfx.terms.dims import ONE, product
from scfx.terms.facts import LARGE, Fact, Mask, Zeros

__all__ = ["Binding", "Pattern", "SignatureError"]


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
        zero: The result as a sum of products of operands, for zeros; a name that is no operand is never zero. It
            holds for the first result; of further ones (indices, statistics) nothing is said.
        summed: The products that contracted letters are summed over, where they are not those of `zero`.
        counted: The operator that takes over, with the original count, once a statistic's dim shrinks.
        weight: The operand that is a weight to quantize.
        repeated: The dims along which each entry of the weight is used again, where they are not those of the result.
        bilinear: Whether any factor of the product may be the weight: it is whichever is a parameter.
        matrices: Letters of the weight that number matrices, each with outputs of its own, and that the result lacks.
    """

    makes_zeros: bool = False
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
    summed: str = ""
    counted: str | None = None
    weight: str | None = None
    repeated: str = ""
    bilinear: bool = False
    matrices: str = ""

    # ------------------------------------------------------------------ dims

    def infer(self, call: Call) -> tuple[Dims, ...]:
        for name in call.operands.keys() - set(self.operands):
            raise SignatureError(f"the signature has no operand {name}")
        known = {letter: call.integer(call.arguments[argument]) for letter, argument in self.sizes.items()}
        bound = bind_letters(call, read(self.signature), self.operands, self.ranks, known)
        call.binding = bound
        for letter in self._rigid(bound):
            if bound.sizes[letter] != 1:
                call.pin(bound.dims[letter], self._reason(letter))
        kinds: tuple[Literal["contract", "statistic"], ...] = ("contract", "statistic")
        for kind in kinds:
            for letter in bound.letters(getattr(self, kind)):
                if bound.sizes[letter] != 1:
                    call.sinks.append(Sink(kind, letter, bound.dims[letter]))
        return tuple(tuple([product(*[bound.dims[x] for x in d]) for d in dims]) for dims in bound.signature.results)

    def _rigid(self, bound: Binding) -> set[str]:
        return bound.sizes.keys() - bound.letters(self._not_rigid)

    @cached_property
    def _not_rigid(self) -> str:
        return f"{self.pointwise} {self.contract} {self.statistic} {self.free}"

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
        known = {name: letter_masks(bound, name, facts[name]) for name in bound.names}
        terms = self._terms(call)
        gone = [
            any(facts[n].whole for n in term if n in known) or self._is_empty_sum(bound, term, known) for term in terms
        ]
        left = [term for term, zero in zip(terms, gone, strict=True) if not zero]
        rigid = self._rigid(bound)

        def fact(letters: tuple[str, ...]) -> Fact:
            long = wide(bound, letters)
            if len(long) == 1 and bound.sizes[long[0]] > LARGE and long[0] not in rigid:
                return along_large(bound, left, facts, long[0])
            masks = tuple(None if x in rigid else where_all(left, known, x) for x in letters)
            return Fact(tuple(bound.sizes[x] for x in letters) or (1,), masks or (None,))

        first = Zeros.of(map(fact, bound.signature.results[0]), whole=not left)
        return (first, *(Zeros.unknown(shape) for shape in call.result_shapes[1:]))

    def _terms(self, call: Call) -> list[list[str]]:
        """The products that the result is a sum of. An absent operand is neutral: no term, or factor one."""
        terms = self._products if self.zero else [["?"]]
        present = [[n for n in term if n in call.operands or n not in self.operands] for term in terms]
        return [kept or ["?"] for kept, term in zip(present, terms, strict=True) if kept or len(term) > 1]

    @cached_property
    def _products(self) -> list[list[str]]:
        return _products(self.zero)

    @cached_property
    def _summed(self) -> list[list[str]]:
        return _products(self.summed or self.zero)

    def _is_empty_sum(self, bound: Binding, term: list[str], known: Mapping[str, Mapping[str, Mask | None]]) -> bool:
        """Whether the factors of a term leave nothing to sum over."""
        found = (where_any(term, known, letter) for letter in bound.letters(self.contract))
        return any(mask is not None and bool(mask.all()) for mask in found)

    def fixed(self, call: Call, fixed: Mapping[str, Zeros], zeros: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        """Along a pointwise letter: at the indices where each operand is fixed, or belongs to products that are zero.

        An operand that `zero` doesn't name is behind each name there that is no operand.
        """
        if call.computed - set(self.size_lists) or not call.operands:
            return super().fixed(call, fixed, zeros)
        bound = _binding(call)
        silent, alone = (
            {name: letter_masks(bound, name, facts[name]) for name in bound.names} for facts in (zeros, fixed)
        )
        terms = self._terms(call)
        named = {name for term in terms for name in term}
        pointwise = bound.letters(self.pointwise)

        def where(letter: str) -> Mask | None:
            found = np.ones(bound.sizes[letter], bool) if bound.sizes[letter] <= LARGE else None
            for name in bound.names:
                if found is None or fixed[name].whole:
                    continue
                mine = [t for t in terms if (name in t if name in named else not set(t) <= set(bound.names))]
                masks = [alone[name].get(letter), where_all(mine, silent, letter) if mine else None]
                known = [mask for mask in masks if mask is not None]
                found = found & np.logical_or.reduce(known) if known else None
            return found if found is not None and found.any() else None

        def fact(letters: tuple[str, ...]) -> Fact:
            masks = tuple(where(x) if x in pointwise else None for x in letters)
            return Fact(tuple(bound.sizes[x] for x in letters) or (1,), masks or (None,))

        first = Zeros.of(map(fact, bound.signature.results[0]), all(fixed[name].whole for name in bound.names))
        return (first, *map(Zeros.unknown, call.result_shapes[1:]))

    def sink_zeros(self, call: Call, facts: Mapping[str, Zeros]) -> Mapping[str, Mask | None]:
        bound = _binding(call)
        known = {name: letter_masks(bound, name, facts[name]) for name in bound.names}
        result: dict[str, Mask | None] = {}
        for sink in call.sinks:
            # A statistic is taken of the first operand; a contraction vanishes where any of its factors does.
            names = list(bound.names[:1]) if sink.kind == "statistic" else self._factors_with(bound, sink.letter)
            whole = any(facts[name].whole for name in names) and bound.sizes[sink.letter] <= LARGE
            result[sink.letter] = (
                np.ones(bound.sizes[sink.letter], bool) if whole else where_any(names, known, sink.letter)
            )
        return result

    def _factors_with(self, bound: Binding, letter: str) -> list[str]:
        """The operands of a product that run along a contracted letter: each of them can make it vanish.

        A factor that doesn't run along it has a gradient that sums over it, even where it is zero itself.
        """
        terms = [[name for name in term if name in bound.names] for term in self._summed]
        carrying = [[name for name in term if any(letter in dim for dim in bound.operand(name))] for term in terms]
        found = [names for names in carrying if names]
        return found[0] if len(found) == 1 else []

    # ---------------------------------------------------------------- resize

    def resize(self, call: Call, kept: Kept) -> Replacement | None:
        bound = _binding(call)
        counts = [x for x in bound.letters(self.statistic) if bound.sizes[x] <= LARGE] if self.counted else []
        now = {x: kept_size(bound.dims[x], kept) for x in (*self.sizes, *counts)}
        changed: dict[str, Any] = {
            a: scaled(call.arguments[a], now[x], bound.sizes[x])
            for x, a in self.sizes.items()
            if now[x] != bound.sizes[x]
        }
        for argument, letters in self.size_lists.items():
            made = bound.signature.results[0] if letters == "result" else [(x,) for x in letters.split()]
            dims = [product(*(bound.dims.get(x, ONE) for x in dim)) for dim in made]
            changed |= resized_list(call, argument, dims, kept)
        if all(now[x] == bound.sizes[x] for x in counts):
            return Replacement(changed) if changed else None
        if "count" not in call.arguments:  # a counted operator has the original number already
            changed["count"] = prod(bound.sizes[x] for x in counts)
        return Replacement(changed, self.counted)

    def factors(self, call: Call) -> Collection[str]:
        return [name for term in self._terms(call) if set(term) <= set(call.operands) for name in term[1:]]

    def norm_scales(self, call: Call) -> Collection[str]:
        return [name for term in self._terms(call) if not set(term) <= set(call.operands) for name in term[1:]]

    def weights(self, call: Call) -> Mapping[str, tuple[tuple[tuple[bool, int], ...], ...]]:
        bound = _binding(call)
        outputs = {letter for dims in bound.signature.results for dim in dims for letter in dim}
        outputs.update(self.matrices.split())
        return {
            name: tuple(tuple((x in outputs, bound.sizes[x]) for x in dim) for dim in bound.operand(name))
            for name in self._weighing(call)
        }

    def repeats(self, call: Call) -> Mapping[str, Dims]:
        """The dims of the result, or those declared, that the weight doesn't have; none if it is only looked up."""
        bound = _binding(call)
        letters = bound.letters(self.repeated) or [x for dim in bound.signature.results[0] for x in dim]
        return {
            name: tuple(bound.dims[x] for x in letters if not any(x in dim for dim in bound.operand(name)))
            for name in self._weighing(call)
            if any(name in term and len(term) > 1 for term in self._terms(call))
        }

    def shares(self, call: Call) -> Mapping[str, Dims]:
        """The dims that number matrices: each row meets one of them."""
        bound = _binding(call)
        return {name: tuple(bound.dims[x] for x in bound.letters(self.matrices)) for name in self._weighing(call)}

    def _weighing(self, call: Call) -> list[str]:
        """The operands that may be the weight: what is multiplied, or the one that is declared."""
        multiplied = [name for term in self._terms(call) if len(term) > 1 for name in term]
        return [name for name in (multiplied if self.bilinear else [self.weight]) if name in _binding(call).names]


def _binding(call: Call) -> Binding:
    assert isinstance(call.binding, Binding)
    return call.binding


def _products(text: str) -> list[list[str]]:
    """The factors of each term of a sum of products."""
    return [[name.strip() for name in term.split("*")] for term in text.split("+")]
