"""Products with a matrix for each run of rows: as an operator that takes any width, and as torch has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from scfx.nodes.grouped import GROUPED, missing
from scfx.passes.base import Pass
from scfx.passes.building import arguments, operators, value
from scfx.passes.write_out import WriteOut

_aten = torch.ops.aten


@dataclass(frozen=True)
class GroupedProducts(Pass):
    """Replace `_grouped_mm` of a matrix of rows and several matrices by the one of the library."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        for node in operators(graph):
            if node.target is not _aten._grouped_mm.default:
                continue
            bound = arguments(node)
            rows, matrices = value(bound["self"]), value(bound["mat2"])
            plain = bound["bias"] is None and bound["out_dtype"] in (None, rows.dtype)
            if plain and bound["offs"] is not None and (rows.ndim, matrices.ndim) == (2, 3):
                node.target, node.args, node.kwargs = GROUPED, (bound["self"], bound["mat2"], bound["offs"]), {}
                changes += 1
        return changes


@dataclass(frozen=True)
class WriteOutGrouped(WriteOut):
    """Write the library's product as torch's, between what adds the features that rows lack and what drops them."""

    def concerns(self, target: Any) -> bool:
        return target is GROUPED

    def instead(self, node: fx.Node, arguments: dict[str, Any], root: nn.Module) -> fx.Node:
        rows, weight, offs = node.args
        assert isinstance(weight, fx.Node)
        _, features, outputs = weight.meta["shape"]
        more, made = (missing(size, node.meta["dtype"]) for size in (features, outputs))
        call = node.graph.call_function
        if more or made:
            weight = call(_aten.constant_pad_nd.default, (weight, [0, made, 0, more]))
        rows = call(_aten.constant_pad_nd.default, (rows, [0, more]))
        wide = call(_aten._grouped_mm.default, (rows, weight, offs))
        result = call(_aten.slice.Tensor, (wide, 1, 0, outputs))
        result.meta.update(node.meta)
        return result
