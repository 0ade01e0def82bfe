"""The equations between sizes that a graph was captured under, and what they ask of the numbers that stand for them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from sympy import Eq, Integer, Symbol
from torch import fx
from torch.utils._sympy.functions import FloorDiv, Mod

from scfx.capture.guards import fixed_sizes, guard_place, shape_env

#: A symbolic size is never asked to be a multiple of more than this.
MOST = 2**16


@dataclass(frozen=True)
class Equation:
    """Two expressions of symbolic sizes that are equal whenever the graph holds.

    Attributes:
        expr: The equation, of symbols that export has not found to be numbers.
        place: Where the model asks for it, as in `Guard`.
        later: Whether it speaks of a size that depends on data, so that only a run can tell.
    """

    expr: Eq
    place: str = ""
    later: bool = False

    def holds(self, sizes: Mapping[Symbol, int]) -> bool:
        """Say whether it holds for these sizes; true where that can't be told."""
        found = self.expr.xreplace({symbol: Integer(size) for symbol, size in sizes.items()})
        return bool(found != False)  # noqa: E712 - sympy's false, or an expression


def equations_of(graph: fx.Graph) -> tuple[Equation, ...]:
    """Return the equations that `graph`, fresh from export, was captured under.

    Those of sizes that depend on data are among them: what export left to be asserted at run time.
    """
    env = shape_env(graph)
    if env is None:
        return ()
    fixed = {symbol: Integer(size) for symbol, size in fixed_sizes(env).items()}
    stated = [Equation(guard.expr, guard_place(guard)) for guard in env.guards]
    stated += [Equation(each.expr, later=True) for several in env.deferred_runtime_asserts.values() for each in several]
    found: dict[Eq, Equation] = {}
    for equation in stated:
        if isinstance(equation.expr, Eq):
            expr = equation.expr.xreplace(fixed).subs(env.replacements)
            found.setdefault(expr, replace(equation, expr=expr))
    return tuple(equation for expr, equation in found.items() if isinstance(expr, Eq) and expr.free_symbols)


def multiples(equations: Collection[Equation]) -> dict[Symbol, int] | None:
    """Return, for each symbol, a number that its sizes are multiples of so that all equations of a graph hold.

    None if there is no such set of numbers among the divisors that the equations name: then no large stand-in for the
    sizes would be one that the graph holds for.
    """
    found: dict[Symbol, int] = {}
    equations = [equation for equation in equations if not equation.later]
    for equation in equations:
        divisors = [int(part.args[1]) for part in equation.expr.atoms(Mod, FloorDiv) if part.args[1].is_Integer]
        for symbol in equation.expr.free_symbols:
            found[symbol] = math.lcm(found.get(symbol, 1), math.prod(set(divisors)))
    if any(number > MOST for number in found.values()):
        return None
    for large in (10007, 10009):
        sizes = {symbol: number * large for symbol, number in found.items()}
        if not all(equation.holds(sizes) for equation in equations):
            return None
    return found
