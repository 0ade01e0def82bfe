"""The number that stands for each size that is only known at run time, the same in both graphs.

A stand-in is a large prime, so that sizes which have nothing to do with each other have no factor in common. But a
graph holds only for sizes that meet its equations, and so it can only be analysed with stand-ins that do: where primes
alone don't, some are made multiples of each other, or one and the same. What is assumed by that need not follow from
the graph, so it is a condition that each call is held to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations
from math import gcd, lcm

import torch
from sympy import Expr, Integer, Symbol, expand, nextprime
from torch import fx

from scfx.capture.equations import Equation
from scfx.capture.guards import Guard, shape_env
from scfx.capture.program import Mode
from scfx.terms.symbolic import FIRST_PRIME, is_symbolic

#: Small factors that a stand-in made by subtraction should not have: a real size need not have them.
_SMALL = 2 * 3 * 5 * 7 * 11 * 13
_TRIES = 30


@dataclass(eq=False)
class _Size:
    """One free size of the inputs.

    Attributes:
        members: The symbols that stand for it in the graphs.
        places: The dimensions of inputs that it makes, alone or times a number, as (input, dimension).
        bare: Those among them that it makes alone.
        example: What it is in the example.
        times: A number that it is a multiple of.
        number: What stands for it.
    """

    members: set[tuple[Mode, Symbol]]
    places: set[tuple[int, int]]
    bare: set[tuple[int, int]]
    example: int
    times: int = 1
    number: int = 0


#: New numbers for some sizes, and what is assumed then: of two sizes that one is the other, or a multiple of it.
_Way = tuple[Mapping[_Size, int], Sequence[tuple[_Size, str, _Size]]]


class StandIns:
    """Hands out numbers for symbols so that one dimension of one input has the same number in every graph.

    Attributes:
        examples: What each size that has a stand-in was for the example inputs, by stand-in.
    """

    def __init__(
        self,
        graphs: Mapping[Mode, fx.Graph],
        multiples: Mapping[Mode, Mapping[Symbol, int]],
        equations: Mapping[Mode, Sequence[Equation]],
    ) -> None:
        """Find numbers for the free sizes of `graphs`.

        Args:
            graphs: Both graphs with what export knows of their sizes.
            multiples: For a mode's symbols, a number that their sizes are multiples of.
            equations: What the sizes of a mode have to meet.
        """
        self.examples: dict[int, int] = {}
        self._primes = _primes()
        self._cache: dict[tuple[Mode, Expr], int] = {}
        self._assumed: dict[tuple[_Size, str, _Size], str] = {}
        self._solved = 0
        self._met: list[tuple[Mode, Equation]] = []
        self._sizes = _free_sizes(graphs)
        for size in self._sizes:
            size.times = lcm(*(multiples[mode].get(symbol, 1) for mode, symbol in size.members))
            size.number = next(self._primes) * size.times
        for mode, asked in equations.items():
            for equation in asked:
                if not equation.later:
                    self._meet(mode, equation)
        self._known = {mode: self._numbers(mode, {}) for mode in graphs}
        for mode, asked in equations.items():
            for equation in asked:
                if equation.later:
                    self._solve(mode, equation)

    def size(self, mode: Mode, size: int | torch.SymInt) -> int:
        """Return `size` with every symbol in it replaced by its number."""
        if isinstance(size, int):
            return size
        expression = expression_of(size)
        if (mode, expression) not in self._cache:
            known = self._known[mode]
            for symbol in sorted(expression.free_symbols, key=str):
                if symbol not in known:  # a size that depends on data, not on the shape of an input
                    known[symbol] = next(self._primes)
            self._cache[mode, expression] = int(expression.subs(_integers(known)))
            if size.node.has_hint():
                self.examples[self._cache[mode, expression]] = int(size.node.hint)
        return self._cache[mode, expression]

    def assumed(self, names: Sequence[str]) -> tuple[Guard, ...]:
        """Return what the analysis takes for granted of the sizes of the inputs, which have these `names`."""

        def text(size: _Size) -> str:
            position, dim = min(size.bare)
            return f"{names[position]}.shape[{dim}]"

        return tuple(
            Guard(f"{text(a)} == {text(b)}" if relation == "==" else f"{text(a)} % {text(b)} == 0", place)
            for (a, relation, b), place in self._assumed.items()
        )

    def _numbers(self, mode: Mode, changed: Mapping[_Size, int]) -> dict[Symbol, int]:
        """Return what stands for each symbol of a graph, if these sizes had other numbers."""
        numbers = {size: changed.get(size, size.number) for size in self._sizes}
        return {symbol: number for size, number in numbers.items() for own, symbol in size.members if own == mode}

    def _meet(self, mode: Mode, equation: Equation) -> None:
        """Make the equation hold beside those that do already, with as little assumed as can be.

        Where that takes more than is tried here, it stays as it was: what then doesn't fit pins what it touches.
        """
        if not equation.holds(self._numbers(mode, {})):
            wanted = [(mode, equation), *self._met]  # this one first: most ways fail at it
            concerned = {(mode, symbol) for symbol in equation.expr.free_symbols}
            for numbers, assumed in self._ways([s for s in self._sizes if s.bare and s.members & concerned]):
                if all(each.holds(self._numbers(own, numbers)) for own, each in wanted):
                    for size, number in numbers.items():
                        size.number = number
                    self._assumed.update(dict.fromkeys(assumed, equation.place))
                    break
            else:
                return
        self._met.append((mode, equation))

    def _ways(self, sizes: Sequence[_Size]) -> Iterator[_Way]:
        """Yield what could be tried of some sizes: that one is a multiple, two are one, or all that are alike are one.

        Alike is what is the same in the example; sizes of the same dimension, such as two batches, come first.
        """
        for a, b in permutations(sizes, 2):
            if a.example % b.example == 0 and a.number != b.number:
                yield {a: lcm(a.times, b.number) * next(self._primes)}, [(a, "%", b)]
        for by_dim in (True, False):
            kinds: dict[tuple[int, int], list[_Size]] = {}
            for size in sizes:
                kinds.setdefault((min(dim for _, dim in size.bare) if by_dim else 0, size.example), []).append(size)
            for alike in kinds.values():
                yield from map(_merged, ([pair] for pair in combinations(alike, 2)))
            yield _merged(list(kinds.values()))

    def _solve(self, mode: Mode, equation: Equation) -> None:
        """Let one size that depends on data be what an equation leaves for it, such as the last part of a whole."""
        known = self._known[mode]
        difference = expand(equation.expr.lhs - equation.expr.rhs)
        new = sorted((symbol for symbol in difference.free_symbols if symbol not in known), key=str)
        for symbol in reversed(new):
            factor = difference.coeff(symbol)
            others = expand(difference - factor * symbol)
            if abs(factor) != 1 or symbol in others.free_symbols:
                continue
            parts = [other for other in new if other != symbol]
            whole = (-others / factor).xreplace(dict.fromkeys(parts, Integer(0)) | _integers(known))
            if not whole.is_Integer:
                continue
            share = int(whole) // (len(new) + 1)
            primes = _primes(share + self._solved)  # smaller than the whole, and not used yet
            for _ in range(_TRIES):
                found = {other: next(primes) for other in parts}
                left = int((-others / factor).xreplace(_integers(known | found)))
                if gcd(left, _SMALL) == 1:
                    break
            if is_symbolic(left):
                known.update(found)
                known[symbol] = left
                self._solved = next(primes) - share
                return


def expression_of(size: torch.SymInt) -> Expr:
    """Return what is known about `size` by now: guards may have made it a number or another symbol."""
    expression: Expr = size.node.expr
    return expression


def _merged(groups: Sequence[Sequence[_Size]]) -> _Way:
    """Return the way in which the sizes of each group are one."""
    numbers = {
        size: group[0].number // group[0].times * lcm(*(each.times for each in group))
        for group in groups
        for size in group
    }
    return numbers, [(a, "==", b) for group in groups for a, b in pairwise(group)]


def _free_sizes(graphs: Mapping[Mode, fx.Graph]) -> list[_Size]:
    """Return the sizes that are free: one for all symbols that stand for one dimension of an input, or are equal."""
    sizes: list[_Size] = []
    for mode, graph in graphs.items():
        env = shape_env(graph)
        holders = [node for node in graph.nodes if node.op == "placeholder"]
        for index, node in enumerate(holders):
            value = node.meta.get("val")
            shape: tuple[int | torch.SymInt, ...] = tuple(value.shape) if isinstance(value, torch.Tensor) else ()
            for dim, given in enumerate(shape):
                expression = None if isinstance(given, int) else expression_of(given)
                if expression is None or len(expression.free_symbols) != 1:  # several symbols are not one size
                    continue
                (symbol,) = expression.free_symbols
                bare = {(index, dim)} if expression == symbol else set()
                found = _Size({(mode, symbol)}, {(index, dim)}, bare, int(env.backed_var_to_val.get(symbol, 0)))
                for size in [size for size in sizes if size.members & found.members or size.places & found.places]:
                    sizes.remove(size)
                    found.members |= size.members
                    found.places |= size.places
                    found.bare |= size.bare
                sizes.append(found)
    return sizes


def _integers(sizes: Mapping[Symbol, int]) -> dict[Symbol, Integer]:
    return {symbol: Integer(size) for symbol, size in sizes.items()}


def _primes(start: int = FIRST_PRIME - 1) -> Iterator[int]:
    """Yield primes that are larger than `start`."""
    while True:
        start = nextprime(start)
        yield start
