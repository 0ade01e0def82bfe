"""The functional counterpart of an operator that writes to its argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload, OpOverloadPacket

from scfx.passes.building import arguments, emit, size_nodes, value
from scfx.passes.write_back import same_shape

_aten = torch.ops.aten

#: The key of `node.meta` that says of an operator that the model wrote its result over its first argument.
IN_PLACE = "in_place"

#: In-place operators whose counterpart is not called like them without the underscore.
_RENAMED: dict[OpOverload, OpOverload] = {_aten.normal_.default: _aten.normal_functional.default}


def functional(node: fx.Node, target: fx.Node) -> fx.Node | None:
    """Return a node that computes what `node` writes to its argument, whose present value is `target`.

    The result has the dtype and the shape of `target`. Nodes go to the graph's insertion point. Returns None if the
    operator has no functional counterpart.
    """
    rule = _RULES.get(node.target)
    result = rule(node, target) if rule else _by_name(node)
    if result is None or not isinstance(value(result), torch.Tensor):
        return None
    if value(result).dtype != value(target).dtype:
        result = emit(node, _aten.to.dtype, result, value(target).dtype)
    return result if same_shape(value(result), value(target)) else None


def _by_name(node: fx.Node) -> fx.Node | None:
    assert isinstance(node.target, OpOverload)
    found = counterpart(node.target)
    if found is None:
        return None
    bound = arguments(node)
    given = [bound[argument.name] for argument in node.target._schema.arguments if not argument.is_out]
    pairs = list(zip(found._schema.arguments, given, strict=True))
    options = {item.name: it for item, it in pairs if item.kwarg_only and not _has_default(item, it)}
    positional = [(item, it) for item, it in pairs if not item.kwarg_only]
    while positional and _has_default(*positional[-1]):
        positional.pop()
    made = emit(node, found, *[it for _, it in positional], **options)
    made.meta[IN_PLACE] = True
    return made


def counterpart(op: OpOverload) -> OpOverload | None:
    """Return the operator that takes the arguments of `op`, an in-place or `out=` one, and writes to none of them."""
    if op in _RENAMED:
        return _RENAMED[op]
    name = op._schema.name.split("::")[1]
    namespace = getattr(torch.ops, op.namespace)
    packet = getattr(namespace, _without_mark(name), None)
    if not isinstance(packet, OpOverloadPacket):
        return None
    overloads: list[OpOverload] = [getattr(packet, overload) for overload in packet.overloads()]
    overloads.sort(key=lambda overload: overload._overloadname != op._overloadname)
    for candidate in overloads:
        if not candidate._schema.is_mutable and _signature(candidate) == _signature(op):
            return candidate
    return None


def _without_mark(name: str) -> str:
    if name.startswith("__i") and name.endswith("__"):  # __iand__ writes what __and__ returns
        return "__" + name[3:]
    return name.removesuffix("_")


def _signature(op: OpOverload) -> list[tuple[str, str]]:
    """Return names and types of the arguments, without the name of the first: `dropout_` and `dropout` disagree."""
    taken = [argument for argument in op._schema.arguments if not argument.is_out]
    return [(argument.name if index else "", str(argument.type)) for index, argument in enumerate(taken)]


def _has_default(argument: Any, given: Any) -> bool:
    """Say whether an argument may be left out, as a traced graph leaves out defaults."""
    if not argument.has_default_value() or isinstance(given, fx.Node):
        return False
    return type(given) is type(argument.default_value) and bool(given == argument.default_value)


def _copy(node: fx.Node, target: fx.Node) -> fx.Node:
    source: fx.Node = arguments(node)["src"]
    return _fitted(node, source, target)


def _fill(node: fx.Node, target: fx.Node) -> fx.Node:
    given = arguments(node)["value"]
    if isinstance(given, fx.Node) and isinstance(value(given), torch.Tensor):
        return _fitted(node, given, target)
    return emit(node, _aten.full_like.default, target, given)


def _zero(node: fx.Node, target: fx.Node) -> fx.Node:
    return emit(node, _aten.zeros_like.default, target)


def _fitted(node: fx.Node, source: fx.Node, target: fx.Node) -> fx.Node:
    """Return `source` with the dtype, the device and the shape of `target`."""
    have, want = value(source), value(target)
    if have.device != want.device:
        source = emit(node, _aten.to.device, source, want.device, want.dtype)
    elif have.dtype != want.dtype:
        source = emit(node, _aten.to.dtype, source, want.dtype)
    if not same_shape(have, want):
        source = emit(node, _aten.expand.default, source, size_nodes(node, target))
    return source


_RULES: dict[object, Callable[[fx.Node, fx.Node], fx.Node]] = {
    _aten.copy_.default: _copy,
    _aten.fill_.Scalar: _fill,
    _aten.fill_.Tensor: _fill,
    _aten.zero_.default: _zero,
}
