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


@contextmanager
def written_in_place(graph: fx.Graph) -> Iterator[None]:
    """While code is made of a graph, operators have their in-place form where the model had it and nobody else looks.

    That is where the value is made by one of the `MAKERS` and nothing but this operator uses it.
    """
    before = {node: node.target for node in graph.nodes if _may_overwrite(node)}
    try:
        for node, target in before.items():
            node.target = WRITERS[target]
        yield
    finally:
        for node, target in before.items():
            node.target = target


def _may_overwrite(node: fx.Node) -> bool:
    if node.target not in WRITERS or not node.meta.get(IN_PLACE):
        return False
    first, *rest = node.args
    return (
        isinstance(first, fx.Node)
        and first.target in MAKERS
        and len(first.users) == 1
        and first not in rest
        and first.meta["shape"] == node.meta["shape"]
        and first.meta["dtype"] == node.meta["dtype"]
    )
