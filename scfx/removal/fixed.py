"""Where values are the same whatever the model's inputs are: one forward pass over a graph, beside that of zeros."""

from __future__ import annotations

import operator

import torch
from torch import fx

from scfx.capture.program import Mode, Program
from scfx.graph.inference import Inference, Step
from scfx.removal.zeros import GraphZeros, operand_facts
from scfx.terms.facts import Zeros, either


def forward_fixed(program: Program, inference: Inference, mode: Mode, zeros: GraphZeros) -> GraphZeros:
    """Where each value of one graph is fixed: it depends on parameters and buffers, and on nothing else.

    Args:
        program: The captured model.
        inference: Its channel analysis.
        mode: Which graph.
        zeros: Where the values are zero, from `forward_zeros`. What is zero is fixed.
    """
    facts: GraphZeros = {}
    steps = {step.call.node.name: step for step in inference.steps[mode]}
    for node in program.graphs[mode].nodes:
        shape = node.meta.get("shape")
        if node.op == "output" or shape is None:
            continue
        if node.target is operator.getitem:
            several = facts[node.args[0].name]
            facts[node.name] = several[node.args[1]] if isinstance(several, tuple) else Zeros.unknown(shape)
            continue
        found = _made(node, steps.get(node.name), inference, facts, zeros)
        known = zeros[node.name]
        if isinstance(known, tuple):
            facts[node.name] = tuple(_or(one, other) for one, other in zip(found, known, strict=True))
        else:
            facts[node.name] = _or(found[0], known)
    return facts


def _made(
    node: fx.Node, step: Step | None, inference: Inference, facts: GraphZeros, zeros: GraphZeros
) -> tuple[Zeros, ...]:
    """Where what a node makes is fixed."""
    shape = node.meta["shape"]
    shapes = [tuple(each) for each in shape] if isinstance(shape, list) else [tuple(shape)]
    if node.op == "call_module" or (node.op == "get_attr" and str(node.target) not in inference.mutated):
        return tuple(_whole(each) for each in shapes)
    if step is None or _draws(step):
        return tuple(map(Zeros.unknown, shapes))
    operands = operand_facts(step.call, facts)
    if operands and all(each.whole for each in operands.values()) and not step.call.computed:
        return tuple(_whole(each) for each in shapes)
    return step.record.fixed(step.call, operands, operand_facts(step.call, zeros))


def _whole(shape: tuple[int, ...]) -> Zeros:
    return Zeros(Zeros.unknown(shape).dims, True)


def _draws(step: Step) -> bool:
    """Whether an operator draws random numbers."""
    target = step.call.node.target
    return not isinstance(target, torch._ops.OpOverload) or torch.Tag.nondeterministic_seeded in target.tags


def _or(one: Zeros, other: Zeros) -> Zeros:
    return Zeros.of((either(a, b) for a, b in zip(one.dims, other.dims, strict=True)), one.whole or other.whole)
