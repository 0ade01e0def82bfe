"""The sizes that a captured graph holds for: conditions on the shapes of the inputs, as Python over the arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from traceback import FrameSummary
from typing import Any

import torch
from sympy import Expr, Integer, Symbol
from torch import fx
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._sympy.printers import PythonPrinter

from scfx.capture.source import frame_text, users_frames

_SHAPE = re.compile(r"([\w.\[\]'\"]+)\.shape\[(\d+)\]")


#: What a condition may use besides sizes.
_FUNCTIONS = {"max": max, "min": min, "abs": abs, "math": math}


@dataclass(frozen=True)
class Guard:
    """A condition on the sizes of the inputs under which what was captured holds.

    Attributes:
        condition: An expression over the arguments by name, such as `x.shape[2] % 4 == 0`.
        place: ` at file:line in function: code` where the model asks for it, or nothing where an operator does.
    """

    condition: str
    place: str = ""
    _test: Callable[..., Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the condition a function, compiled once: torch.compile can follow a function, and no `eval`."""
        arguments = dict.fromkeys(re.split(r"[.\[]", name)[0] for name, _ in self.sizes)
        source = f"lambda {''.join(f'{name}, ' for name in arguments)}**others: {self.condition}"
        object.__setattr__(self, "_test", eval(source, {"__builtins__": {}, **_FUNCTIONS}))

    def __reduce__(self) -> tuple[Any, ...]:
        return Guard, (self.condition, self.place)

    def holds(self, arguments: Mapping[str, Any]) -> bool:
        """Say whether a call with these arguments, which have the structure that was captured, meets the condition."""
        return bool(self._test(**arguments))

    @property
    def sizes(self) -> tuple[tuple[str, int], ...]:
        """The input dimensions that the condition speaks of, by leaf name."""
        return tuple(dict.fromkeys((name, int(dim)) for name, dim in _SHAPE.findall(self.condition)))


def guards_of(graph: fx.Graph, names: Sequence[str]) -> tuple[Guard, ...]:
    """Return the conditions under which `graph`, fresh from export, holds; its placeholders have these `names`.

    Sizes that export has fixed are numbers here: that they stay so is for the caller to see to.
    """
    env = shape_env(graph)
    if env is None:
        return ()
    places = {
        symbol: Symbol(f"{name}.shape[{dim}]", integer=True, positive=True)
        for name, sizes in zip(names, input_symbols(graph), strict=True)
        for dim, symbol in sizes.items()
    }
    fixed = fixed_sizes(env)
    found: dict[str, Guard] = {}
    for guard in env.guards:
        condition = guard.expr.xreplace({s: Integer(n) for s, n in fixed.items()})
        if not condition.free_symbols or not condition.free_symbols <= set(places):
            continue
        text = str(PythonPrinter().doprint(condition.xreplace(places)))
        found.setdefault(text, Guard(text, guard_place(guard)))
    return tuple(found.values())


def shape_env(graph: fx.Graph) -> Any:
    """Return what export knows of the symbols of a graph, or None if it has none."""
    values = (node.meta.get("val") for node in graph.nodes)
    return next((value.fake_mode.shape_env for value in values if isinstance(value, FakeTensor)), None)


def input_symbols(graph: fx.Graph) -> list[dict[int, Symbol]]:
    """Return, for each placeholder, the symbol that each dimension had before export learned anything about it."""
    found: list[dict[int, Symbol]] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            value = node.meta.get("val")
            sizes = value.shape if isinstance(value, torch.Tensor) else ()
            symbols = {d: getattr(getattr(size, "node", None), "_expr", None) for d, size in enumerate(sizes)}
            found.append({d: symbol for d, symbol in symbols.items() if isinstance(symbol, Symbol)})
    return found


def fixed_sizes(env: Any) -> dict[Symbol, int]:
    """Return the symbols that export has found to be numbers."""
    return {symbol: int(size) for symbol, size in env.replacements.items() if isinstance(size, Expr) and size.is_number}


def frozen_places(graph: fx.Graph) -> list[dict[int, str]]:
    """Return, for each placeholder, the dimensions that export has fixed and the user's line, if known, that did it."""
    env = shape_env(graph)
    places = getattr(env, "replacements_slocs", {})
    fixed = fixed_sizes(env) if env is not None else {}
    return [
        {dim: _text(places.get(symbol)) for dim, symbol in sizes.items() if symbol in fixed}
        for sizes in input_symbols(graph)
    ]


def guard_place(guard: Any) -> str:
    """Return where the model asks for what export's `guard` says, as ` at file:line in function: code`, or nothing."""
    return _text(guard.sloc)


def _text(place: Any) -> str:
    for frame in (getattr(place, "framework_loc", None), getattr(place, "maybe_user_loc", None)):
        if isinstance(frame, FrameSummary) and users_frames([frame]):
            return frame_text(frame)
    return ""
