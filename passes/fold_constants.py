"""Evaluate what depends on no input and no learned value, and give each use of a constant its own copy."""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import fx, nn
from torch._ops import OpOverload

from scfx.passes.base import Pass
from scfx.passes.building import CONSTANT_PREFIXES, arguments, emit, fetch, hold_constant, is_static, is_tensor, value
from scfx.passes.effects import is_random, writes_state
from scfx.passes.mutations import mutated_buffers

_aten = torch.ops.aten

#: A constant of more elements than this is left to be computed: stored, it would make the model heavy.
LARGEST = 2**26

#: Operators that take from their input only dtype and device, not values or shape.
_NEW = (_aten.new_zeros.default, _aten.new_ones.default, _aten.new_full.default, _aten.new_empty.default)

#: Operators whose result has no defined values. They may be part of a constant but are none.
_EMPTY = (_aten.empty.memory_format, _aten.new_empty.default, _aten.empty_like.default, _aten.empty_strided.default)


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Replace subgraphs that are the same in every call by buffers `_constant_0`, `_constant_1`, ... of the root.

    Operators without inputs, integer and boolean buffers, and constants from the code are constant, and so is what
    static operators make of them; parameters, floating buffers and random numbers are not. The buffers are not part of
    the state dict. Each use gets a buffer of its own, so that a table which many layers share does not tie these layers
    together; the copies share memory. Constants and floating buffers outside of the state dict that are used more than
    once are copied per use as well.

    Attributes:
        mutable: Buffers that change although this graph may not show it: those written to in the other mode.
    """

    mutable: frozenset[str] = frozenset()

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Fold and copy; return the number of new buffers."""
        mutable = self.mutable | mutated_buffers(graph, root)
        folded = _foldable(graph, root, mutable)
        known: dict[fx.Node, Any] = {}
        changes = 0
        for node in list(graph.nodes):
            if node in folded and node.op != "get_attr":
                users = [user for user in node.users if user not in folded]
                if users and is_tensor(node) and node.target not in _EMPTY and not _is_handed_out(node, users):
                    constant = _evaluate(node, root, known)
                    changes += _copy_per_use(node, users, constant.detach(), root, keep_first=False)
        for node in graph.find_nodes(op="get_attr"):
            if _is_copied(node, root, mutable, node in folded):
                users = [user for user in node.users if user not in folded or user.op == "output"]
                changes += _copy_per_use(node, users, fetch(root, str(node.target)).detach(), root, keep_first=True)
        return changes


def _foldable(graph: fx.Graph, root: nn.Module, mutable: frozenset[str]) -> set[fx.Node]:
    folded: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "get_attr":
            if _is_constant(node, root, mutable):
                folded.add(node)
        elif node.op == "call_function" and _is_pure(node) and _has_static_sizes(node):
            sources = [] if node.target in _NEW else node.all_input_nodes
            if all(source in folded for source in sources):
                folded.add(node)
    return folded


def _is_constant(node: fx.Node, root: nn.Module, mutable: frozenset[str]) -> bool:
    target = str(node.target)
    held = fetch(root, target)
    if not isinstance(held, torch.Tensor) or isinstance(held, nn.Parameter) or target in mutable:
        return False
    return target.startswith(CONSTANT_PREFIXES) or not (held.is_floating_point() or held.is_complex())


def _is_pure(node: fx.Node) -> bool:
    if node.target is operator.getitem:
        return True
    return isinstance(node.target, OpOverload) and not (is_random(node) or writes_state(node))


def _has_static_sizes(node: fx.Node) -> bool:
    fakes = value(node) if isinstance(value(node), (tuple, list)) else [value(node)]
    return all(
        isinstance(fake, torch.Tensor) and is_static(fake) and math.prod(fake.shape) <= LARGEST for fake in fakes
    )


def _evaluate(node: fx.Node, root: nn.Module, known: dict[fx.Node, Any]) -> Any:
    pending = [node]
    while pending:
        top = pending[-1]
        sources = [] if top.op == "get_attr" or top.target in _NEW else top.all_input_nodes
        if missing := [source for source in sources if source not in known]:
            pending.extend(missing)
            continue
        pending.pop()
        if top not in known:
            known[top] = _run(top, root, known)
    return known[node]


def _run(node: fx.Node, root: nn.Module, known: dict[fx.Node, Any]) -> Any:
    if node.op == "get_attr":
        return fetch(root, str(node.target)).detach()
    if node.target in _NEW:
        return _new(node)
    args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), known.__getitem__)
    target = cast("Callable[..., Any]", node.target)
    with torch.no_grad():
        return target(*args, **kwargs)


def _new(node: fx.Node) -> torch.Tensor:
    fake, bound = value(node), arguments(node)
    fill = bound.get("fill_value", 1 if node.target is _aten.new_ones.default else 0)
    return torch.full(tuple(fake.shape), fill, dtype=fake.dtype, device=fake.device)


def _is_copied(node: fx.Node, root: nn.Module, mutable: frozenset[str], constant: bool) -> bool:
    target = str(node.target)
    if constant:
        return int(value(node).numel()) <= LARGEST
    owner, _, name = target.rpartition(".")
    held = fetch(root, target)
    plain = isinstance(held, torch.Tensor) and not isinstance(held, nn.Parameter) and target not in mutable
    return plain and name in root.get_submodule(owner)._non_persistent_buffers_set


def _copy_per_use(node: fx.Node, users: list[fx.Node], tensor: torch.Tensor, root: nn.Module, keep_first: bool) -> int:
    """Let every use of `node` by `users` fetch a buffer of its own and return the number of new buffers.

    With `keep_first` the first use goes on fetching `node`.
    """
    made = 0
    uses: Counter[fx.Node] = Counter()

    def fresh(source: fx.Node) -> fx.Node:
        nonlocal made
        if source is not node:
            return source
        uses[node] += 1
        if keep_first and uses[node] == 1:
            return node
        made += 1
        copy = node.graph.get_attr(hold_constant(root, tensor.detach()))
        copy.meta = {**node.meta}
        return copy

    for user in users:
        with node.graph.inserting_before(user):
            if user.op == "output":
                continue
            user.args, user.kwargs = fx.map_arg(user.args, fresh), fx.map_arg(user.kwargs, fresh)
    for user in users:
        if user.op == "output":
            with node.graph.inserting_before(user):
                made += _hand_out(node, user, tensor, root, keep_first)
    return made


def _is_handed_out(node: fx.Node, users: list[fx.Node]) -> bool:
    """Say whether `node` is the clone of a constant that `_hand_out` returns to the caller."""
    returned = all(user.op == "output" for user in users)
    return returned and node.target is _aten.clone.default and node.all_input_nodes[0].op == "get_attr"


def _hand_out(node: fx.Node, output: fx.Node, tensor: torch.Tensor, root: nn.Module, keep_first: bool) -> int:
    """Return a clone of a constant to the caller, who may write to it."""
    if keep_first:
        return 0
    constant = node.graph.get_attr(hold_constant(root, tensor))
    constant.meta = {**node.meta}
    clone = emit(node, _aten.clone.default, constant)
    output.replace_input_with(node, clone)
    return 1
