"""Turn operators that write to a value into operators that compute a new one."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch._ops import OpOverload

from scfx.errors import CaptureError
from scfx.passes.aliases import Aliases, find_aliases
from scfx.passes.base import Pass
from scfx.passes.building import emit, fetch, source_line
from scfx.passes.effects import updated_statistics, written
from scfx.passes.grad import DISABLED, GradFlow
from scfx.passes.mutations import region_writes, written_state
from scfx.passes.versions import Versions

_aten = torch.ops.aten


@dataclass(frozen=True)
class Functionalize(Pass):
    """Replace in-place and `out=` operators by functional ones.

    Whatever reads the written value, its base or another view of it later, reads the new value: a write to a view
    becomes a `*_scatter` or an inverse view on its base, and other views are taken again from the new base.

    A buffer (or an input) that the model writes to still is written to: a single write that nothing reads afterwards
    stays as it is, otherwise one `aten.copy_` at the end of the graph stores the last value. A write in a `no_grad`
    region keeps the history of what it writes to, as autograd does. A write to a parameter, or one without a functional
    counterpart, raises CaptureError.
    """

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Replace the operators and return how many there were."""
        _check_regions(graph, root)
        if not any(written(node) for node in graph.nodes):
            return 0
        _merge_fetches(graph)
        aliases = find_aliases(graph)
        writers = [node for node in graph.nodes if written(node)]
        stays = _staying(graph, root, aliases, writers)
        flow = GradFlow(root)
        changes = sum(_shield(node, flow) for node in stays)
        going = frozenset(writers).difference(stays)
        if going:
            _check(aliases, going)
            Versions(graph, root, aliases, going, written_state(graph, root, aliases)).rewrite()
        return changes + len(going)


def _merge_fetches(graph: fx.Graph) -> None:
    """Let every fetch of one tensor be one node, so that a write through one is seen by the others."""
    first: dict[str, fx.Node] = {}
    for node in graph.find_nodes(op="get_attr"):
        kept = first.setdefault(str(node.target), node)
        if kept is not node:
            node.replace_all_uses_with(kept)


def _staying(graph: fx.Graph, root: nn.Module, aliases: Aliases, writers: list[fx.Node]) -> list[fx.Node]:
    """Return the writes to buffers and inputs that may stay; raise CaptureError for writes to parameters."""
    elsewhere = (buffer for node in graph.nodes for buffer in updated_statistics(node) + region_writes(node, root))
    statistics = {aliases.base(buffer) for buffer in elsewhere}
    last_use = {aliases.base(source): node for node in graph.nodes for source in node.all_input_nodes}
    writes: dict[fx.Node, list[fx.Node]] = {}
    for writer in writers:
        for target in written(writer):
            writes.setdefault(aliases.base(target), []).append(writer)
    movable: set[fx.Node] = set()
    for base, nodes in writes.items():
        _refuse_parameter(base, root, nodes[0])
        state = base.op in ("get_attr", "placeholder")
        direct = all(target is base or aliases.base(target) is not base for node in nodes for target in written(node))
        alone = len(nodes) == 1 and not nodes[0].users and last_use[base] is nodes[0]
        # What a norm or a region also updates must be written in the order of the graph, whoever writes.
        if not (state and direct and (alone or base in statistics)):
            movable.update(nodes)
    return [writer for writer in writers if writer not in movable]


def _refuse_parameter(base: fx.Node, root: nn.Module, writer: fx.Node) -> None:
    if base.op == "get_attr" and isinstance(fetch(root, str(base.target)), nn.Parameter):
        raise CaptureError(
            f"the model writes to its parameter {base.target!r} in forward, with {writer.target} "
            f"({source_line(writer)}). A parameter that changes itself cannot be compressed: change it outside of "
            "forward, or compute a new tensor from it."
        )


def _check_regions(graph: fx.Graph, root: nn.Module) -> None:
    for node in graph.nodes:
        for operand in region_writes(node, root):
            if operand.op != "get_attr" or isinstance(fetch(root, str(operand.target)), nn.Parameter):
                raise CaptureError(
                    f"{node.target} holds an in-place operator that changes {operand.name!r}, which comes from outside "
                    f"({source_line(node)}). Use the operator that returns a new tensor, or clone the tensor in there."
                )


def _check(aliases: Aliases, going: frozenset[fx.Node]) -> None:
    """Refuse writes to, and through, a view that nothing here can follow."""
    bases = {aliases.base(target) for node in going for target in written(node)}
    through = {base.args[0] if base.target is operator.getitem else base for base in bases}
    for node in aliases.opaque:
        touched = [source for source in node.all_input_nodes if aliases.base(source) in bases or node in through]
        if touched:
            raise CaptureError(
                f"the model writes to {touched[0].name!r} in place while {node.target} may share its memory "
                f"({source_line(node)}). Use the operator that returns a new tensor, or clone the tensor first."
            )


def _shield(node: fx.Node, flow: GradFlow) -> int:
    """Detach what a write that stays stores, if autograd did not see the write. Return how many values that were."""
    if DISABLED not in node.meta:
        return 0
    assert isinstance(node.target, OpOverload)
    targets = written(node)
    operands = [source for source in node.all_input_nodes if source not in targets and flow.may_need(source)]
    with node.graph.inserting_before(node):
        for source in operands:
            detached = emit(node, _aten.detach.default, source)
            node.replace_input_with(source, detached)
    return len(operands)
