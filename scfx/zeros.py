"""Which channels can be removed without changing what is computed: a forward pass of zeros, then a look at every sink."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from torch import fx

from scfx.dims import Var, variables
from scfx.facts import Mask, Zeros
from scfx.inference import Inference
from scfx.masks import narrow
from scfx.program import MODES, Mode, Program
from scfx.signatures.call import Call

#: What is known to be zero in a parameter or buffer, by state-dict name.
StateZeros = Callable[[str], Zeros]

#: What is known to be zero in what a quantizer makes, by its module's name, given its weight's zeros.
QuantizerZeros = Callable[[str, Zeros], Zeros]


def removable(
    program: Program, inference: Inference, axes: Mapping[Var, int], state: StateZeros, quantizer: QuantizerZeros
) -> dict[Var, Mask]:
    """For each axis, the channels that contribute nothing at any sink of either graph.

    Removing any of them, alone or together, leaves every other value as it was (docs/design.md, section 5).
    """
    masks = {axis: np.ones(axis.size, bool) for axis in axes}
    for mode in MODES:
        facts = forward_zeros(program, inference, mode, state, quantizer)
        for step in inference.steps[mode]:
            if not step.call.sinks or not any(v in masks for sink in step.call.sinks for v in variables(sink.dim)):
                continue
            found = step.record.sink_zeros(step.call, operand_facts(step.call, facts))
            for sink in step.call.sinks:
                narrow(sink.dim, found.get(sink.letter), masks)
    return masks


def forward_zeros(
    program: Program, inference: Inference, mode: Mode, state: StateZeros, quantizer: QuantizerZeros
) -> dict[str, Zeros | tuple[Zeros, ...]]:
    """What is zero in every value of one graph."""
    facts: dict[str, Zeros | tuple[Zeros, ...]] = {}
    steps = {step.call.node.name: step for step in inference.steps[mode]}
    for node in program.graphs[mode].nodes:
        shape = node.meta.get("shape")
        if node.op == "output" or shape is None:
            continue
        step = steps.get(node.name)
        if node.op == "get_attr":
            facts[node.name] = state(str(node.target))
        elif node.op == "call_module":
            source = facts[node.all_input_nodes[0].name]
            assert isinstance(source, Zeros)
            facts[node.name] = quantizer(str(node.target), source)
        elif step is not None:
            made = step.record.zeros(step.call, operand_facts(step.call, facts))
            facts[node.name] = made if isinstance(shape, list) else made[0]
        elif node.op == "call_function" and isinstance(node.args[0] if node.args else None, fx.Node) and _picks(node, facts):
            facts[node.name] = facts[node.args[0].name][node.args[1]]  # type: ignore[index, union-attr, assignment]
        else:
            facts[node.name] = (
                tuple(map(Zeros.unknown, shape)) if isinstance(shape, list) else Zeros.unknown(shape)
            )
    return facts


def _picks(node: fx.Node, facts: Mapping[str, Zeros | tuple[Zeros, ...]]) -> bool:
    """Whether the node takes one of several results of another."""
    source = node.args[0]
    return isinstance(source, fx.Node) and isinstance(facts.get(source.name), tuple)


def operand_facts(call: Call, facts: Mapping[str, Zeros | tuple[Zeros, ...]]) -> dict[str, Zeros]:
    """What is zero in each operand of a call."""
    result: dict[str, Zeros] = {}
    for name in call.operands:
        base, _, index = name.partition("[")
        value = call.arguments[base]
        node = value[int(index[:-1])] if index else value
        fact = facts[node.name]
        assert isinstance(fact, Zeros)
        result[name] = fact
    return result
