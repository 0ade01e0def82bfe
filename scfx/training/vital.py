"""Which weights an output hangs on: without them no way would lead to it from any input."""

from __future__ import annotations

from collections.abc import Set

from torch import fx

from scfx.graph.channels import ChannelGraph


class Ways:
    """The ways through the eval graph of a program, from inputs to outputs, past weights that are zero or through none.

    A weight that is zero makes what it is multiplied by the same for every input. An operator with several weights, as
    a recurrent layer has, is taken to let its input through whatever they are.
    """

    def __init__(self, graph: ChannelGraph) -> None:
        weights: dict[str, str] = {}
        for step in graph._inference.steps["eval"]:
            operands = (step.call.node_of(name) for name in step.record.weights(step.call))
            found = {str(node.target) for node in operands if node.op == "call_module"}
            if len(found) == 1:
                weights[step.call.node.name] = found.pop()
        self._nodes: list[tuple[fx.Node, str]] = [
            (node, weights.get(node.name, "")) for node in graph._program.graphs["eval"].nodes
        ]

    def is_vital(self, path: str, silent: Set[str]) -> bool:
        """Whether some output depends on an input through a quantized weight, and on none without it.

        Args:
            path: The weight's quantizer.
            silent: The quantizers, by path, that make nothing but zeros.
        """
        return self._reached(silent - {path}) != self._reached(silent | {path})

    def _reached(self, silent: Set[str]) -> list[bool]:
        """For each output whether it depends on an input."""
        depending: set[fx.Node] = set()
        for node, weight in self._nodes:
            if node.op == "output":
                leaves = node.args[0]
                assert isinstance(leaves, (list, tuple))
                return [leaf in depending for leaf in leaves]
            if node.op == "placeholder" or (
                weight not in silent and any(source in depending for source in node.all_input_nodes)
            ):
                depending.add(node)
        return []
