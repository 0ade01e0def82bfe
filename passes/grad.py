"""Which values autograd may follow: what depends on a parameter or on a floating input and is not detached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from scfx.passes.building import fetch, value

#: The key of `node.meta` that marks a node from a `no_grad` region: in the original, autograd does not record it.
DISABLED = "grad_disabled"

_DETACHING = (torch.ops.aten.detach.default, torch.ops.aten.detach_.default)


@dataclass
class GradFlow:
    """Says for each node of a graph whether its value may require grad; true when in doubt.

    Attributes:
        root: What `get_attr` nodes fetch from. Frozen parameters count as parameters: the user may thaw them.
        original: Whether to answer for the original, where nodes from a `no_grad` region never require grad, and not
            for the graph as it stands, in which those regions are inlined.
    """

    root: nn.Module
    original: bool = False
    _known: dict[fx.Node, bool] = field(default_factory=dict)

    def may_need(self, node: fx.Node) -> bool:
        """Say whether the value of `node` may require grad."""
        stack = [node]
        while stack:  # deep graphs would exhaust the recursion limit
            top = stack[-1]
            missing = [] if self._is_settled(top) else [n for n in top.all_input_nodes if n not in self._known]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            self._known[top] = self._settle(top)
        return self._known[node]

    def _is_settled(self, node: fx.Node) -> bool:
        stops = node.target in _DETACHING or (self.original and DISABLED in node.meta)
        return stops or node.op in ("placeholder", "get_attr") or not is_floating(value(node))

    def _settle(self, node: fx.Node) -> bool:
        if node.op == "get_attr":
            return isinstance(fetch(self.root, str(node.target)), nn.Parameter)
        if node.op == "placeholder":
            return is_floating(value(node))
        if self._is_settled(node):
            return False
        return any(self._known[n] for n in node.all_input_nodes)


def is_floating(fake: Any) -> bool:
    """Say whether any tensor in `fake` is of a dtype that can have a gradient."""
    return any(
        isinstance(leaf, torch.Tensor) and (leaf.is_floating_point() or leaf.is_complex())
        for leaf in pytree.tree_leaves(fake)
    )
