"""Shapes on graph nodes as plain integers, with one large prime for each size that is only known at run time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import lcm
from typing import Any

import torch
from sympy import Expr, Integer, Symbol, nextprime  # type: ignore[import-untyped]
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from scfx.program import FIRST_PRIME, Mode

#: What export records on nodes and nothing here reads; some of it holds fake tensors, which neither copy nor pickle.
_EXPORT_META = ("val", "tensor_meta", "torch_fn", "custom", "from_node", "unbacked_bindings", "original_aten", "seq_nr")


class Primes:
    """Hands out primes for symbols so that one dimension of one input has the same prime in every graph.

    Attributes:
        examples: What each size that has a stand-in was for the example inputs, by stand-in.
    """

    def __init__(
        self, graphs: Mapping[Mode, fx.Graph], multiples: Mapping[Mode, Mapping[Symbol, int]] | None = None
    ) -> None:
        """Hand out primes for `graphs`; where a symbol's sizes are `multiples` of a number, that many times a prime."""
        self._next = _primes()
        self._known: dict[Mode, dict[Symbol, int]] = {mode: {} for mode in graphs}
        self._sizes: dict[tuple[Mode, Expr], int] = {}
        self.examples: dict[int, int] = {}
        for group in _equal_dims(graphs):
            times = [(multiples or {}).get(mode, {}).get(symbol, 1) for mode, symbol in group]
            size = next(self._next) * lcm(*times)
            for mode, symbol in group:
                self._known[mode][symbol] = size

    def size(self, mode: Mode, size: int | torch.SymInt) -> int:
        """Return `size` with every symbol in it replaced by its prime."""
        if isinstance(size, int):
            return size
        expression = _expression(size)
        if (mode, expression) not in self._sizes:
            known = self._known[mode]
            for symbol in sorted(expression.free_symbols, key=str):
                if symbol not in known:  # a size that depends on data, not on the shape of an input
                    known[symbol] = next(self._next)
            self._sizes[mode, expression] = int(expression.subs({s: Integer(p) for s, p in known.items()}))
            if size.node.has_hint():
                self.examples[self._sizes[mode, expression]] = int(size.node.hint)
        return self._sizes[mode, expression]


def annotate(graph: fx.Graph, root: nn.Module, mode: Mode, primes: Primes) -> None:
    """Give every node of `graph` its `shape`, `dtype` and `value` in `meta`, and drop what export recorded instead."""
    complete(graph, root)
    for node in graph.nodes:
        value = node.meta.get("val")
        if node.op == "output":
            value = None
        shape, dtype = _describe(value, mode, primes)
        for key in _EXPORT_META:
            node.meta.pop(key, None)
        node.meta["shape"], node.meta["dtype"] = shape, dtype
        if isinstance(value, (int, torch.SymInt)) and not isinstance(value, bool):
            node.meta["value"] = primes.size(mode, value)


def complete(graph: fx.Graph, root: nn.Module) -> None:
    """Compute `meta["val"]` of the nodes that lack it: those that a pass has made."""
    fake_mode = next((v.fake_mode for n in graph.nodes if isinstance(v := n.meta.get("val"), FakeTensor)), None)
    for node in graph.nodes:
        if node.op == "get_attr" and "val" not in node.meta:
            value = _fetch(root, str(node.target))
            node.meta["val"] = (
                fake_mode.from_tensor(value, static_shapes=True)
                if fake_mode and isinstance(value, torch.Tensor)
                else value
            )
        elif node.op == "call_function" and "val" not in node.meta:
            node.meta["val"] = _evaluate(node, fake_mode)


def is_free(size: int | torch.SymInt) -> bool:
    """Say whether `size` may differ from call to call."""
    return not isinstance(size, int) and bool(_expression(size).free_symbols)


def _expression(size: torch.SymInt) -> Expr:
    """Return what is known about `size` by now: guards may have made it a number or another symbol."""
    expression: Expr = size.node.expr
    return expression


def _describe(value: Any, mode: Mode, primes: Primes) -> tuple[Any, Any]:
    if isinstance(value, torch.Tensor):
        return tuple(primes.size(mode, size) for size in value.shape), value.dtype
    if isinstance(value, (tuple, list)) and any(isinstance(item, torch.Tensor) for item in value):
        parts = [_describe(item, mode, primes) for item in value]
        return [shape if shape is not None else () for shape, _ in parts], [dtype for _, dtype in parts]
    return None, None


def _evaluate(node: fx.Node, fake_mode: FakeTensorMode | None) -> Any:
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda source: source.meta["val"])
    assert callable(node.target)
    if fake_mode is None:
        return node.target(*args, **kwargs)
    with fake_mode, torch.no_grad():
        return node.target(*args, **kwargs)


def _equal_dims(graphs: Mapping[Mode, fx.Graph]) -> list[set[tuple[Mode, Symbol]]]:
    """Return groups of symbols that are one size: the same dimension of an input, or equal in one of the graphs."""
    groups: list[tuple[set[tuple[Mode, Symbol]], set[tuple[int, int]]]] = []
    for mode, graph in graphs.items():
        holders = [node for node in graph.nodes if node.op == "placeholder"]
        for index, node in enumerate(holders):
            value = node.meta.get("val")
            sizes: tuple[int | torch.SymInt, ...] = tuple(value.shape) if isinstance(value, torch.Tensor) else ()
            for dim, size in enumerate(sizes):
                symbols: set[Symbol] = set() if isinstance(size, int) else set(_expression(size).free_symbols)
                if len(symbols) != 1:  # several symbols in one dimension are not one size
                    continue
                members, places = {(mode, symbols.pop())}, {(index, dim)}
                for group in [g for g in groups if g[0] & members or g[1] & places]:
                    groups.remove(group)
                    members |= group[0]
                    places |= group[1]
                groups.append((members, places))
    return [members for members, _ in groups]


def _primes() -> Iterator[int]:
    """Yield primes from FIRST_PRIME upwards."""
    number = FIRST_PRIME
    while True:
        yield number
        number = nextprime(number)


def _fetch(module: nn.Module, target: str) -> Any:
    value: Any = module
    for part in target.split("."):
        value = getattr(value, part)
    return value
