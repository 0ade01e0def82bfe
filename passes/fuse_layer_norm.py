"""Layer norm that a model writes out becomes the operator.

Written out, it subtracts the mean, so that a channel that is zero is so no longer, and nothing that follows knows that
it was. The operator's record knows, and can keep the number of channels that there were at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from scfx.passes.base import Pass
from scfx.passes.building import arguments, emit, operators, replace, value

_aten = torch.ops.aten


@dataclass(frozen=True)
class FuseLayerNorm(Pass):
    """Put `layer_norm` where (x - mean) / sqrt(variance + eps) is computed along one dim of a fixed size.

    A scale and a shift behind it that have an entry for each index of that dim become the operator's own.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Put the operator there and return how often."""
        changes = 0
        for node in operators(graph):
            found = _normalized(node)
            if found is None:
                continue
            source, dim, eps = found
            weight, end = _affine(node, _aten.mul.Tensor, dim)
            bias, end = _affine(end, _aten.add.Tensor, dim) if weight is not None else (None, end)
            last = value(source).dim() - 1
            with graph.inserting_before(end):
                moved = source if dim == last else emit(end, _aten.transpose.int, source, dim, last)
                made = emit(end, _aten.layer_norm.default, moved, [value(source).shape[dim]], weight, bias, eps)
                made = made if dim == last else emit(end, _aten.transpose.int, made, dim, last)
            replace(end, made)
            changes += 1
        return changes


def _plain(node: Any) -> Any:
    """What a node is without casts to the type that its operand has anyway."""
    while _calls(node, "to", "_to_copy") and isinstance(source := node.args[0], fx.Node):
        before, after = value(source), value(node)
        if not isinstance(before, torch.Tensor) or (before.dtype, before.device) != (after.dtype, after.device):
            break
        node = source
    return node


def _calls(node: Any, *names: str) -> bool:
    """Whether a node calls one of ATen's operators of these names, of any overload."""
    target = getattr(node, "target", None)
    return isinstance(target, torch._ops.OpOverload) and target._schema.name in {f"aten::{name}" for name in names}


def _operands(node: Any, name: str) -> tuple[Any, Any] | None:
    """The two operands of an operator, where it does nothing else with them."""
    if not _calls(node, name):
        return None
    given = arguments(node)
    if given.get("alpha", 1) != 1 or given.get("rounding_mode") is not None:
        return None
    return _plain(given["self"]), _plain(given.get("other", given.get("exponent")))


def _normalized(node: fx.Node) -> tuple[fx.Node, int, float] | None:
    """What a node normalizes, along which dim, and the epsilon; None if it does anything else."""
    product, quotient = _operands(node, "mul"), _operands(node, "div")
    choices = [(a, b.args[0]) for a, b in ((product, product[::-1]) if product else ()) if _calls(b, "rsqrt")]
    if quotient is not None and _calls(quotient[1], "sqrt"):
        choices.append((quotient[0], quotient[1].args[0]))
    for numerator, inside in choices:
        centred, total = _centred(numerator), _operands(_plain(inside), "add")
        if centred is None or total is None or not isinstance(total[1], (int, float)):
            continue
        source, dim = centred
        if _is_variance(total[0], source, dim) and isinstance(value(source).shape[dim], int):
            return source, dim, float(total[1])
    return None


def _centred(node: Any) -> tuple[fx.Node, int] | None:
    """What a node subtracts the mean from, and along which dim; None if it does anything else."""
    pair = _operands(node, "sub")
    if pair is None or not isinstance(pair[0], fx.Node):
        return None
    dim = _reduced(pair[1], "mean", pair[0])
    return None if dim is None else (pair[0], dim)


def _reduced(node: Any, name: str, source: fx.Node) -> int | None:
    """The one dim that a node reduces `source` along, with the dim left at size 1; None if it does anything else."""
    if not _calls(node, name):
        return None
    given = arguments(node)
    dims = given.get("dim")
    if _plain(given["self"]) is not source or not given.get("keepdim") or not isinstance(dims, list) or len(dims) != 1:
        return None
    rank: int = value(source).dim()
    return int(dims[0]) % rank


def _is_variance(node: Any, source: fx.Node, dim: int) -> bool:
    """Whether a node is the mean square of what is left of `source` without its mean."""
    node = _plain(node)
    if _calls(node, "var"):
        given = arguments(node)
        biased = given.get("correction") == 0 if "correction" in given else given.get("unbiased") is False
        return biased and _reduced(node, "var", source) == dim
    squares = _plain(node.args[0]) if _calls(node, "mean") else None
    power, product = _operands(squares, "pow"), _operands(squares, "mul")
    base = power[0] if power and power[1] == 2 else product[0] if product and product[0] is product[1] else None
    return _centred(base) == (source, dim) and squares is not None and _reduced(node, "mean", squares) == dim


def _affine(node: fx.Node, target: object, dim: int) -> tuple[fx.Node | None, fx.Node]:
    """The parameter that a node's only user scales or shifts it by along `dim`, and that user; else None and `node`."""
    assert isinstance(target, torch._ops.OpOverload)
    end = node
    while len(end.users) == 1 and _plain(user := next(iter(end.users))) is _plain(end):
        end = user
    if len(end.users) != 1 or (user := next(iter(end.users))).target is not target:
        return None, node
    pair = _operands(user, target._schema.name.removeprefix("aten::"))
    others = [other for other in pair or () if other is not _plain(end)]
    if len(others) != 1 or value(user).shape != value(node).shape or value(user).dtype != value(node).dtype:
        return None, node
    behind = value(node).dim() - 1 - dim
    other = others[0]
    while behind and _calls(other, "unsqueeze") and int(other.args[1]) % value(other).dim() == value(other).dim() - 1:
        behind, other = behind - 1, _plain(other.args[0])
    fits = (
        isinstance(other, fx.Node) and other.op == "get_attr" and value(other).shape == value(node).shape[dim : dim + 1]
    )
    return (other, user) if fits and not behind else (None, node)
