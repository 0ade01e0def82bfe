"""Takes out what returns what it is given, now that nothing writes to values any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from scfx.passes.base import Pass
from scfx.passes.building import CONSTANT_PREFIXES, fetch, replace
from scfx.signatures.call import bind

_aten = torch.ops.aten

#: Says of an operator, its arguments by name, the argument that it returns if that has the same shape and dtype.
_Rule = Callable[[fx.Node, Mapping[str, Any], nn.Module], Any]


@dataclass(frozen=True)
class DropNoOps(Pass):
    """Drops factors one, summands zero, shapes and orders that are there already, copies, masks that let all by.

    The graph is in plain torch and writes to buffers only; its nodes have shapes and dtypes. What is handed to the
    caller stays, as the caller may write to it. So do casts of floats to the dtype that they have: with autocast they
    may have another.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        for node in list(graph.nodes):
            rule = _RULES.get(node.target) if node.op == "call_function" else None
            if rule is None or any(user.op == "output" for user in node.users):
                continue
            source = rule(node, bind(node.target, node.args, node.kwargs), root)
            if isinstance(source, fx.Node) and _alike(node, source):
                replace(node, source)
                changes += 1
        return changes


def _alike(node: fx.Node, other: fx.Node) -> bool:
    """Whether both are tensors of one shape and dtype."""
    shape, dtype = node.meta.get("shape"), node.meta.get("dtype")
    return isinstance(shape, tuple) and (other.meta.get("shape"), other.meta.get("dtype")) == (shape, dtype)


def _keeps_order(node: fx.Node, given: Mapping[str, Any], root: nn.Module) -> Any:
    return given["self"]


def _turns(node: fx.Node, given: Mapping[str, Any], root: nn.Module) -> Any:
    rank = max(1, len(node.meta["shape"]))
    dims = given.get("dims", range(rank))
    swapped = {given.get("dim0", 0) % rank, given.get("dim1", 0) % rank}
    return given["self"] if len(swapped) == 1 and [dim % rank for dim in dims] == [*range(rank)] else None


def _casts(node: fx.Node, given: Mapping[str, Any], root: nn.Module) -> Any:
    """Devices stay as they are within a network, and only there."""
    source, dtype = given["self"], node.meta.get("dtype")
    inside = isinstance(source, fx.Node) and source.op == "call_function"
    exact = dtype is not None and not (dtype.is_floating_point or dtype.is_complex)
    return source if exact and not given["copy"] and (inside or given.get("device") is None) else None


def _copies(node: fx.Node, given: Mapping[str, Any], root: nn.Module) -> Any:
    """A copy of what an operator has just made, for nobody else."""
    source = given["self"]
    operator = source.target if isinstance(source.target, torch._ops.OpOverload) else None
    views = operator is None or any(each.alias_info for each in operator._schema.returns)
    plain = given["memory_format"] in (None, torch.preserve_format)
    return source if plain and not views and len(source.users) == 1 else None


def _times(node: fx.Node, given: Mapping[str, Any], root: nn.Module) -> Any:
    one, other = given["self"], given["other"]
    return one if _is(other, 1) else other if _is(one, 1) else None


def _divided(node: fx.Node, given: Mapping[str, Any], root: nn.Module) -> Any:
    return given["self"] if _is(given["other"], 1) else None


def _plus(node: fx.Node, given: Mapping[str, Any], root: nn.Module) -> Any:
    one, other = given["self"], given["other"]
    return one if _is(other, 0) else other if _is(one, 0) and given["alpha"] == 1 else None


def _minus(node: fx.Node, given: Mapping[str, Any], root: nn.Module) -> Any:
    return given["self"] if _is(given["other"], 0) else None


def _power(node: fx.Node, given: Mapping[str, Any], root: nn.Module) -> Any:
    return given["self"] if _is(given["exponent"], 1) else None


def _both(node: fx.Node, given: Mapping[str, Any], root: nn.Module) -> Any:
    one, other = given["self"], given["other"]
    if node.meta.get("dtype") != torch.bool:
        return None
    return one if _all_true(other, root) else other if _all_true(one, root) else None


def _is(value: object, number: int) -> bool:
    return isinstance(value, (int, float)) and value == number


def _all_true(node: object, root: nn.Module) -> bool:
    """Whether it is a constant from the model's code that is true everywhere."""
    if not isinstance(node, fx.Node) or node.op != "get_attr" or not str(node.target).startswith(CONSTANT_PREFIXES):
        return False
    held = fetch(root, str(node.target))
    return isinstance(held, torch.Tensor) and held.dtype == torch.bool and bool(held.all())


_RULES: dict[object, _Rule] = {
    **dict.fromkeys(
        (
            _aten.reshape.default,
            _aten.flatten.using_ints,
            _aten.expand.default,
            _aten.squeeze.default,
            _aten.squeeze.dim,
            _aten.squeeze.dims,
            _aten.slice.Tensor,
            _aten.narrow.default,
            _aten.alias.default,
            _aten.detach.default,
            _aten.positive.default,
        ),
        _keeps_order,
    ),
    **dict.fromkeys((_aten.permute.default, _aten.transpose.int), _turns),
    **dict.fromkeys((_aten.to.device, _aten.to.dtype, _aten.to.dtype_layout), _casts),
    _aten.clone.default: _copies,
    **dict.fromkeys((_aten.mul.Tensor, _aten.mul.Scalar), _times),
    **dict.fromkeys((_aten.div.Tensor, _aten.div.Scalar), _divided),
    **dict.fromkeys((_aten.add.Tensor, _aten.add.Scalar), _plus),
    **dict.fromkeys((_aten.sub.Tensor, _aten.sub.Scalar), _minus),
    _aten.pow.Tensor_Scalar: _power,
    **dict.fromkeys((_aten.__and__.Tensor, _aten.bitwise_and.Tensor, _aten.logical_and.default), _both),
}
