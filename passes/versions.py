"""The values of a graph over time: each write makes a new version of a tensor and of every view of it."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from scfx.errors import CaptureError
from scfx.passes.aliases import Aliases, shares_memory
from scfx.passes.building import arguments, emit, source_line, value
from scfx.passes.counterparts import functional
from scfx.passes.effects import written
from scfx.passes.grad import DISABLED, GradFlow
from scfx.passes.write_back import write_back

_aten = torch.ops.aten

#: Writers whose counterpart may be the very value they were given.
_COPYING = (_aten.copy_.default, _aten.fill_.Tensor)


@dataclass(eq=False)
class _Version:
    """One tensor of the original program, and the node that holds its present value.

    Attributes:
        origin: The node that first computed it; for a view also the recipe for taking the view again.
        parent: The tensor that this one is a view of.
        source: The argument of `origin` that stood for the parent.
        node: The node that holds the value as of write number `age`.
        age: How many writes to the base `node` knows of.
        writes: How many writes there were so far; counted at the base only.
    """

    origin: fx.Node
    parent: _Version | None
    source: fx.Node | None
    node: fx.Node
    age: int
    writes: int = 0

    @property
    def base(self) -> _Version:
        """The tensor that owns the memory."""
        version = self
        while version.parent is not None:
            version = version.parent
        return version

    def recipe(self, parent: fx.Node | None = None) -> Any:
        """Return the arguments (positional, by keyword) with which to take this view of `parent`."""
        arguments = (self.origin.args, dict(self.origin.kwargs))
        return fx.map_arg(arguments, lambda node: parent if node is self.source else node)


def _is_same_view(left: _Version, right: _Version) -> bool:
    """Say whether two tensors are the same elements of the same memory, in the same order."""
    if left is right:
        return True
    if left.parent is None or right.parent is None or left.origin.target is not right.origin.target:
        return False
    return left.recipe() == right.recipe() and _is_same_view(left.parent, right.parent)


class Versions:
    """Rewrites a graph from front to back, keeping account of which node holds the present value of each tensor.

    Attributes:
        graph: The graph.
        aliases: Its views, as they were before the rewrite.
        writers: The operators to replace.
        written_state: Buffers and inputs whose content changes while the graph runs.
    """

    def __init__(
        self,
        graph: fx.Graph,
        root: nn.Module,
        aliases: Aliases,
        writers: frozenset[fx.Node],
        written_state: frozenset[fx.Node],
    ) -> None:
        self.graph = graph
        self.aliases = aliases
        self.writers = writers
        self.written_state = written_state
        self.flow = GradFlow(root)
        self.original_flow = GradFlow(root, original=True)
        self.versions: dict[fx.Node, _Version] = {}
        self.last_writer: dict[_Version, fx.Node] = {}

    def rewrite(self) -> None:
        """Replace every writer and store what became of buffers and inputs."""
        for node in list(self.graph.nodes):
            with self.graph.inserting_before(node):
                targets = written(node)
                source = self._copied(node)
                touched = [self.aliases.base(argument) for argument in node.all_input_nodes]
                # All at once: the present value of one argument may be the old value of another.
                args = fx.map_arg(node.args, self._present_of)
                kwargs = fx.map_arg(node.kwargs, self._present_of)
                if node in self.writers:
                    node.args, node.kwargs = args, kwargs
                    version = self._target(node, targets)
                    if source is None or not _is_same_view(source, version):
                        self._write(node, version, touched)
                    self.versions[node] = version
                    continue
                if node.op == "output":
                    self._store()
                if args != node.args or kwargs != node.kwargs:
                    node.args, node.kwargs = args, kwargs
                self.versions[node] = self._begin(node)
        for node in [node for node in reversed(self.graph.nodes) if node in self.writers]:
            self.graph.erase_node(node)

    def _present_of(self, node: fx.Node) -> fx.Node:
        return self._present(self.versions[node])

    def _begin(self, node: fx.Node) -> _Version:
        parent_node = self.aliases.parent.get(node)
        if parent_node is None:
            return _Version(node, None, None, node, 0)
        parent = self.versions[parent_node]
        return _Version(node, parent, parent.node, node, parent.base.writes)

    def _present(self, version: _Version) -> fx.Node:
        """Return the node that holds the present value, taking a view again if its base was written to meanwhile."""
        base = version.base
        if version.age != base.writes:
            assert version.parent is not None
            args, kwargs = version.recipe(self._present(version.parent))
            assert callable(version.origin.target)
            version.node = emit(version.origin, version.origin.target, *args, **kwargs)
            version.age = base.writes
        return version.node

    def _copied(self, node: fx.Node) -> _Version | None:
        """Return what `copy_` copies from: `x[:, 1:] += y` ends with a copy of a view to itself."""
        return self.versions.get(arguments(node)["src"]) if node.target is _aten.copy_.default else None

    def _target(self, node: fx.Node, targets: list[fx.Node]) -> _Version:
        if len(targets) != 1:
            raise self._refusal(node)
        return self.versions[targets[0]]

    def _write(self, node: fx.Node, version: _Version, touched: list[fx.Node]) -> None:
        base = version.base
        old_base = self._present(base)
        new = functional(node, version.node)
        if new is None:
            raise self._refusal(node)
        if node.target in _COPYING and not self.written_state.isdisjoint([base.origin, *touched]):
            # The value must not be the buffer itself, which will change under it.
            new = emit(node, _aten.clone.default, new)
        if DISABLED in node.meta and self.flow.may_need(new):
            new = emit(node, _aten.detach.default, new)
        path = [(version, new)]
        while (child := path[-1][0]).parent is not None:
            path.append(self._write_back(node, child, path[-1][1]))
        base.writes += 1
        if DISABLED in node.meta and self.original_flow.may_need(old_base):
            # Autograd did not see this write: the tensor has a new value and its old history.
            path = [(base, self._with_history(node, path[-1][1], old_base))]
        for changed, present in path:
            changed.node, changed.age = present, base.writes
        self.last_writer[base] = node

    def _write_back(self, node: fx.Node, child: _Version, new: fx.Node) -> tuple[_Version, fx.Node]:
        """Return what `child` is a view of, and its value after `child` has become `new`."""
        parent = child.parent
        if child.origin.target is operator.getitem and parent is not None:
            parent = parent.parent  # past the list of views
        assert parent is not None
        old = self._present(parent)
        if child.origin.target is _aten.detach.default:
            if self.original_flow.may_need(old):
                return parent, self._with_history(node, new, old)
            return parent, emit(node, _aten.detach.default, new) if self.flow.may_need(new) else new
        result = write_back(child.origin, old, new, node)
        if result is None:
            raise self._refusal(node)
        return parent, result

    def _with_history(self, node: fx.Node, new: fx.Node, old: fx.Node) -> fx.Node:
        """Return the value of `new`, exactly, with the gradient of `old`: the difference of `old` and itself is 0."""
        if self.flow.may_need(new):
            new = emit(node, _aten.detach.default, new)
        zero = emit(node, _aten.sub.Tensor, old, emit(node, _aten.detach.default, old))
        result = emit(node, _aten.add.Tensor, new, zero)
        for made in (zero, result):
            made.meta.pop(DISABLED, None)
        return result

    def _store(self) -> None:
        """Write the last value of each buffer and input back to it, before the output node."""
        for base, writer in self.last_writer.items():
            if base.origin.op in ("get_attr", "placeholder"):
                store = self.graph.call_function(_aten.copy_.default, (base.origin, base.node))
                store.meta = {**writer.meta, "val": value(base.origin)}
                store.meta.pop(DISABLED, None)
                if self._is_saved(base.origin, store):
                    self._read_from_clone(base.origin, store)

    def _is_saved(self, tensor: fx.Node, store: fx.Node) -> bool:
        """Say whether autograd may keep the memory of `tensor` for the backward pass, when `store` would spoil it."""
        views = [user for user in tensor.users if user is not store and shares_memory(user, tensor)]
        readers = [user for user in tensor.users if user is not store and user not in views]
        return any(map(self.flow.may_need, readers)) or any(self._is_saved(view, store) for view in views)

    def _read_from_clone(self, tensor: fx.Node, store: fx.Node) -> None:
        with self.graph.inserting_after(tensor):
            clone = emit(tensor, _aten.clone.default, tensor)
        tensor.replace_all_uses_with(clone, delete_user_cb=lambda user: user not in (clone, store))
        if store.args[1] is tensor:
            store.args = (tensor, clone)

    def _refusal(self, node: fx.Node) -> CaptureError:
        return CaptureError(
            f"the in-place operator {node.target} ({source_line(node)}) has no functional form here. "
            "Use the operator that returns a new tensor instead."
        )
