"""Where the entries of a parameter go: through operators that only move them, up to those that compute with them."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from torch import fx

from scfx.capture.program import Mode, Program
from scfx.graph.inference import Inference, Step, Value
from scfx.passes.building import picked
from scfx.signatures.call import Dims
from scfx.terms.dims import Dim
from scfx.terms.unify import fresh


@dataclass(frozen=True)
class Arrival:
    """An operator that computes with entries of a parameter.

    Attributes:
        node: Its node.
        step: Its analysis; None for the model's output and for an operator without a rule.
        operand: As which operand they arrive.
        dims: The dims of that operand, in axes that only this parameter has.
        weight: The operator whose weight it is part of making, of parameters and constants alone, if it is.
    """

    node: fx.Node
    step: Step | None
    operand: str
    dims: Dims
    weight: fx.Node | None


class Journeys:
    """The ways that parameters take through one graph.

    Args:
        program: The captured model.
        inference: Its analysis, which stays as it is.
        mode: Whose graph.
    """

    def __init__(self, program: Program, inference: Inference, mode: Mode) -> None:
        self._steps = {step.call.node: step for step in inference.steps[mode]}
        self._order = {node: place for place, node in enumerate(program.graphs[mode].nodes)}
        self._made = _made_of_state(program.graphs[mode])

    def of(self, start: fx.Node) -> tuple[Dims, list[Arrival]]:
        """The dims of what a node fetches, as axes of their own, and every operator that computes with its entries."""
        values: dict[fx.Node, Value] = {start: tuple(map(fresh, start.meta["shape"]))}
        arrivals: list[Arrival] = []
        pending = set(start.users)
        while pending:
            node = min(pending, key=self._order.__getitem__)
            pending.remove(node)
            if node.target is operator.getitem:
                several = values[node.all_input_nodes[0]]
                values[node] = several[picked(node)] if several else None  # type: ignore[assignment]
            elif node.op == "call_module":  # the quantizer of a weight
                values[node] = values[node.all_input_nodes[0]]
            elif (made := self._moved(node, values)) is not None:
                values[node] = made
            else:
                arrivals.extend(self._arrivals(node, values))
                continue
            pending.update(node.users)
        dims = values[start]
        assert dims is not None
        return dims, arrivals  # type: ignore[return-value]

    def _weighed(self, start: fx.Node) -> fx.Node | None:
        """An operator whose weight is made of what `start` makes, and of parameters and constants alone."""
        seen, pending = {start}, [start]
        while pending and start in self._made:
            source = pending.pop()
            for user in source.users:
                if user in self._made:
                    if user not in seen:
                        seen.add(user)
                        pending.append(user)
                elif (step := self._steps.get(user)) is not None:
                    weights = (step.call.node_of(operand) for operand in step.record.weights(step.call))
                    if source in weights:
                        return user
        return None

    def _moved(self, node: fx.Node, values: Mapping[fx.Node, Value]) -> Value:
        """The dims of what a node makes if it only moves entries that come from parameters alone; None if not so."""
        step = self._steps.get(node)
        if step is None or not step.record.moves(step.call):
            return None
        sources = {operand: step.call.node_of(operand) for operand in step.call.operands}
        moved = [source for name, source in sources.items() if name != "other"]  # which lends its dtype or its sizes
        moved = [source for source in moved if source.meta["dtype"].is_floating_point]
        if not all(source in self._made or source in values for source in moved) or not any(
            source in values for source in moved
        ):
            return None
        call = replace(
            step.call,
            operands={name: _dims(source, values) for name, source in sources.items()},
            results=(),
            sinks=[],
            binding=None,
        )
        results = step.record.infer(call)
        return results if isinstance(node.meta["shape"], list) else results[0]

    def _arrivals(self, node: fx.Node, values: Mapping[fx.Node, Value]) -> Iterator[Arrival]:
        step = self._steps.get(node)
        if step is None:
            yield Arrival(node, None, "", (), None)
            return
        for operand in step.call.operands:
            source = step.call.node_of(operand)
            if source in values:
                yield Arrival(node, step, operand, _dims(source, values), self._weighed(node))


def _dims(node: fx.Node, values: Mapping[fx.Node, Value]) -> tuple[Dim, ...]:
    known = values.get(node)
    return known if known is not None else tuple(map(fresh, node.meta["shape"]))  # type: ignore[return-value]


def _made_of_state(graph: fx.Graph) -> frozenset[fx.Node]:
    """The nodes that depend on no input."""
    made: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op not in ("placeholder", "output") and all(source in made for source in node.all_input_nodes):
            made.add(node)
    return frozenset(made)
