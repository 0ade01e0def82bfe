"""In the code that runs, what the model wrote in place is written in place again: it moves less memory.

The graph stays functional, for the analysis. Only its code differs, and only where nobody can tell but by the clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import fx

from scfx.passes.counterparts import IN_PLACE

_aten = torch.ops.aten

#: What is written in place again, and how. Backward of none of these reads what was overwritten.
WRITERS = {_aten.relu.default: _aten.relu_.default, _aten.add.Tensor: _aten.add_.Tensor}

#: Operators whose result is new memory, which their own backward doesn't read.
MAKERS = {
    _aten.conv1d.default, _aten.conv2d.default, _aten.conv3d.default, _aten.linear.default, _aten.batch_norm.default,
    _aten.add.Tensor,
}  # fmt: skip


#: Activations, which don't change the dtype of what they are given: at the end they may write in place everywhere.
ACTIVATIONS = {
    _aten.relu.default: _aten.relu_.default, _aten.relu6.default: _aten.relu6_.default,
    _aten.hardtanh.default: _aten.hardtanh_.default, _aten.leaky_relu.default: _aten.leaky_relu_.default,
    _aten.silu.default: _aten.silu_.default, _aten.hardswish.default: _aten.hardswish_.default,
    _aten.gelu.default: _aten.gelu_.default,
}  # fmt: skip


@contextmanager
def written_in_place(graph: fx.Graph, final: bool = False) -> Iterator[None]:
    """While code is made of a graph, operators have their in-place form where the model had it and nobody else looks.

    That is where the value is made by one of the `MAKERS` and nothing but this operator uses it.

    Args:
        graph: It is as it was afterwards.
        final: Nothing trains any more: activations have it, too, where the model made a new value. With gradients, they
            keep a copy of what they overwrite.
    """
    before = {node: node.target for node in graph.nodes if _may_overwrite(node, final)}
    try:
        for node, target in before.items():
            node.target = (WRITERS | ACTIVATIONS)[target]
        yield
    finally:
        for node, target in before.items():
            node.target = target


def _may_overwrite(node: fx.Node, final: bool) -> bool:
    if not ((node.target in WRITERS and node.meta.get(IN_PLACE)) or (final and node.target in ACTIVATIONS)):
        return False
    first, *rest = node.args
    return (
        isinstance(first, fx.Node)
        and first.target in MAKERS
        and len(first.users) == 1
        and first not in rest
        and first.meta.get("shape") == node.meta.get("shape")
        and first.meta.get("dtype") == node.meta.get("dtype")
    )
