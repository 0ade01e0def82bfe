"""Gives what reads the same constant one buffer to read, now that no layer loses channels of its own any more."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from scfx.passes.base import Pass
from scfx.passes.building import CONSTANT_PREFIXES, fetch


@dataclass(frozen=True)
class ShareConstants(Pass):
    """Replaces constants from the model's code, which nothing writes to, by the first that has the same entries."""

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        changes = 0
        alike: dict[tuple[object, ...], list[tuple[fx.Node, Tensor]]] = {}
        for node in graph.find_nodes(op="get_attr"):
            held = fetch(root, str(node.target))
            if not isinstance(held, Tensor) or not str(node.target).startswith(CONSTANT_PREFIXES):
                continue
            known = alike.setdefault((held.dtype, held.shape, held.stride(), held.device), [])
            same = next((other for other, tensor in known if torch.equal(tensor, held)), None)
            if same is None:
                known.append((node, held))
            else:
                node.replace_all_uses_with(same)
                graph.erase_node(node)
                changes += 1
        return changes
