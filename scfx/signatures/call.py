"""One operator call of a captured graph, as its signature sees it: arguments bound by the operator's own schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Literal

import torch
from torch import fx

from scfx.terms.dims import Dim, Pin
from scfx.terms.unify import fresh, pin, unify

#: The dims of one tensor.
Dims = tuple[Dim, ...]

SinkKind = Literal["contract", "statistic", "merge"]


@dataclass(frozen=True)
class Sink:
    """A dim along which an operator isn't independent, but from which zero channels can go without a trace.

    Attributes:
        kind: How channels meet there.
        letter: Finds the dim's zeros again in the operator's own zero analysis.
        dim: The dim.
        into: Where each index of `dim` ends up in a dim of the result, -1 where nowhere, if it matters nowhere else:
            what the result is about to lose anyway need not be zero.
    """

    kind: SinkKind
    letter: str
    dim: Dim
    into: tuple[Dim, tuple[int, ...]] | None = None


@dataclass
class Call:
    """An operator call: bound arguments, the dims of its operands, and what inference found out.

    Attributes:
        node: The graph node.
        target: The operator's qualified name, such as "aten.conv2d.default".
        arguments: Every argument of the schema by name, defaults filled in. Tensors are the nodes that make them.
        operands: The dims of each tensor argument; an argument that is a list of tensors has an entry "name[i]" each.
        result_shapes: The recorded shape of each tensor the call returns.
        results: The dims of each tensor the call returns.
        sinks: The dims that inference found channels to meet along.
        binding: What the record's inference keeps for its own zero analysis.
    """

    node: fx.Node
    target: str
    arguments: Mapping[str, Any]
    operands: Mapping[str, Dims]
    result_shapes: tuple[tuple[int, ...], ...]
    results: tuple[Dims, ...] = ()
    sinks: list[Sink] = field(default_factory=list)
    binding: object = None

    def node_of(self, operand: str) -> fx.Node:
        """The node that makes an operand."""
        name, _, index = operand.partition("[")
        value = self.arguments[name]
        node = value[int(index[:-1])] if index else value
        assert isinstance(node, fx.Node)
        return node

    @cached_property
    def makers(self) -> tuple[tuple[str, str], ...]:
        """Each operand, and the name of the node that makes it."""
        return tuple((operand, self.node_of(operand).name) for operand in self.operands)

    @cached_property
    def computed(self) -> frozenset[str]:
        """The arguments that hold numbers computed in the graph, such as the size of an input."""
        return frozenset(
            name
            for name, value in self.arguments.items()
            for each in (value if isinstance(value, (list, tuple)) else (value,))
            if isinstance(each, fx.Node) and each.meta.get("shape") is None
        )

    def shape(self, operand: str) -> tuple[int, ...]:
        """The sizes of an operand's dims."""
        return tuple([dim.size for dim in self.operands[operand]])

    def rank(self, operand: str) -> int:
        return len(self.operands[operand])

    def dim(self, argument: str, rank: int) -> int:
        """A dimension argument as a non-negative number."""
        return int(self.arguments[argument]) % max(rank, 1)

    def dim_list(self, argument: str, rank: int) -> tuple[int, ...]:
        """An argument that is one dimension, several or None (all of them), as sorted non-negative numbers."""
        given = self.arguments[argument]
        if given is None or given == []:
            return tuple(range(rank))
        given = [given] if isinstance(given, int) else given
        return tuple(sorted({int(d) % max(rank, 1) for d in given}))

    def integer(self, value: Any) -> int:
        """An integer argument as a number; a symbolic size as the prime that stands for it."""
        return int(value.meta["value"]) if isinstance(value, fx.Node) else int(value)

    def integers(self, argument: str) -> list[int]:
        return [value if type(value) is int else self.integer(value) for value in self.arguments[argument]]

    def because(self, reason: str) -> Pin:
        """A pin that blames this call."""
        return Pin(reason, self.node.name)

    def fresh(self, size: int, reason: str | None = None) -> Dim:
        """A new axis; with a reason, a pinned one."""
        return fresh(size, self.because(reason) if reason else None)

    def unify(self, a: Dim, b: Dim) -> None:
        unify(a, b, self.because(self.target))

    def pin(self, dim: Dim, reason: str) -> None:
        pin(dim, self.because(reason))


def is_view(call: Call) -> bool:
    """Whether the operator's schema says that each result shares the memory of an operand, and that none is written."""
    target = call.node.target
    if not isinstance(target, torch._ops.OpOverload) or target._schema.is_mutable:
        return False
    return all(made.alias_info is not None for made in target._schema.returns)


def bind(target: torch._ops.OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by the names of the operator's schema, defaults filled in."""
    bound: dict[str, Any] = {}
    for position, (name, keyword_only, default) in enumerate(_parameters(target)):
        if position < len(args) and not keyword_only:
            bound[name] = args[position]
        else:
            bound[name] = kwargs.get(name, default)
    return bound


@cache
def _parameters(target: torch._ops.OpOverload) -> tuple[tuple[str, bool, Any], ...]:
    """Name, whether it is given by name only, and default of each argument. Asking the schema takes longer."""
    schema = target._schema.arguments
    return tuple((a.name, a.kwarg_only, a.default_value if a.has_default_value() else None) for a in schema)


def unbound(target: torch._ops.OpOverload, arguments: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments from arguments by name; those that are missing have their default."""
    schema = _parameters(target)
    values = {name: arguments.get(name, default) for name, _, default in schema}
    positional = tuple(values[name] for name, keyword_only, _ in schema if not keyword_only)
    return positional, {name: values[name] for name, keyword_only, _ in schema if keyword_only}
