"""Dissolve the regions that `torch.autocast(enabled=False)` leaves in an exported graph, where that loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import fx, nn

from scfx.passes.base import Pass
from scfx.passes.building import arguments, fetch, value
from scfx.passes.inlining import inline_call

_aten = torch.ops.aten
_REGION = torch.ops.higher_order.wrap_with_autocast
_MATMUL = _aten.matmul.default

#: Operators whose dtype autocast never touches, so that they compute the same inside and outside of such a region.
_INDIFFERENT = frozenset(
    {
        "add", "sub", "rsub", "mul", "div", "neg", "abs", "sin", "cos", "sqrt", "relu", "sigmoid", "tanh",
        "clamp", "clamp_min", "to", "_to_copy", "clone", "contiguous", "detach", "alias", "view", "reshape",
        "flatten", "unflatten", "permute", "transpose", "t", "unsqueeze", "squeeze", "expand", "slice",
        "select", "split", "split_with_sizes", "chunk", "unbind", "arange", "full", "zeros", "ones",
        "zeros_like", "ones_like", "full_like", "lift_fresh_copy", "where", "sym_size", "repeat_interleave",
        "embedding", "index_select", "gather", "eq", "ne", "lt", "le", "gt", "ge", "_assert_tensor_metadata",
        "maximum", "minimum", "repeat", "floor", "ceil", "round", "floor_divide", "remainder", "masked_fill",
        "expand_as",
    }
)  # fmt: skip


@dataclass(frozen=True)
class InlineAutocast(Pass):
    """Inline `wrap_with_autocast` that disables autocast and holds only operators to which it makes no difference.

    A matrix product over an inner dimension of size 1, as in rotary embeddings, is a plain product, which autocast
    leaves alone; it is written so. Other regions stay: under autocast they would be computed in another precision.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Inline what may be inlined and return how many regions that were."""
        inlined = 0
        for call in graph.find_nodes(op="call_function", target=_REGION):
            handle = call.args[4]
            assert isinstance(handle, fx.Node)
            region = fetch(root, str(handle.target))
            if not call.args[2] and all(map(_is_indifferent, _calls(region.graph))):
                inline_call(call, region, call.args[5:], root, _outer_product)
                inlined += 1
        return inlined


def _calls(graph: fx.Graph) -> Iterator[fx.Node]:
    return (node for node in graph.nodes if node.op not in ("placeholder", "output"))


def _is_indifferent(node: fx.Node) -> bool:
    if node.op == "get_attr":
        return True
    if not isinstance(node.target, torch._ops.OpOverload):
        return getattr(node.target, "__module__", "") == "_operator"
    return _is_outer(node) or node.target._schema.name.removeprefix("aten::") in _INDIFFERENT


def _is_outer(node: fx.Node) -> bool:
    if node.target is not _MATMUL:
        return False
    left, right = (value(source) for source in arguments(node).values())
    return bool(left.ndim >= 2 and right.ndim >= 2 and left.shape[-1] == 1 and left.dtype == right.dtype)


def _outer_product(node: fx.Node) -> None:
    if node.op == "call_function" and _is_outer(node):
        node.target = _aten.mul.Tensor
