"""Write the sizes of the parts into operators that take a tensor apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn

from scfx.passes.base import Pass
from scfx.passes.building import arguments, emit, operators, replace, value

_aten = torch.ops.aten

#: Operator -> the dim it splits, where no argument says so.
_SPLITS: dict[object, int | None] = {
    _aten.chunk.default: None,
    _aten.split.Tensor: None,
    _aten.split.sizes: None,
    _aten.unsafe_chunk.default: None,
    _aten.unsafe_split.Tensor: None,
    _aten.unsafe_split_with_sizes.default: None,
    _aten.tensor_split.sections: None,
    _aten.tensor_split.indices: None,
    _aten.hsplit.int: 1,
    _aten.hsplit.array: 1,
    _aten.vsplit.int: 0,
    _aten.vsplit.array: 0,
    _aten.dsplit.int: 2,
    _aten.dsplit.array: 2,
}


@dataclass(frozen=True)
class ExplicitSplits(Pass):
    """Replace `chunk`, `split`, `tensor_split`, `hsplit` ... and their unsafe forms by `split_with_sizes`.

    A split along a dimension of symbolic size stays as it is: its parts have no plain sizes.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Replace them and return how many there were."""
        changes = 0
        for node in operators(graph):
            if node.target not in _SPLITS:
                continue
            bound = arguments(node)
            source = bound["self"]
            dim = _dim(node, bound.get("dim"), value(source).ndim)
            sizes = [part.shape[dim] for part in value(node)]
            if all(isinstance(size, int) for size in sizes):
                with graph.inserting_before(node):
                    replace(node, emit(node, _aten.split_with_sizes.default, source, sizes, dim))
                changes += 1
        return changes


def _dim(node: fx.Node, given: int | None, rank: int) -> int:
    if given is not None:
        return given
    dim = _SPLITS[node.target]
    assert dim is not None
    return 0 if dim == 1 and rank == 1 else dim  # hsplit splits a vector along its only dimension
