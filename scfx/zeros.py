"""Which channels can be removed without changing what is computed: a pass of zeros, then a look at every sink."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from torch import fx

from scfx.dims import Var, variables
from scfx.facts import Mask, Zeros
from scfx.inference import Inference, Step
from scfx.masks import AxisMasks, narrow, over
from scfx.program import MODES, Mode, Program
from scfx.signatures.call import Call

#: What is known to be zero in a parameter or buffer, by state-dict name.
StateZeros = Callable[[str], Zeros]

#: What is known to be zero in what a quantizer makes, by its module's name, given its weight's zeros.
QuantizerZeros = Callable[[str, Zeros], Zeros]

#: What is zero in what each node of a graph makes, by node name.
GraphZeros = dict[str, Zeros | tuple[Zeros, ...]]

#: At some sinks, by node and letter, indices that may contribute something.
Excused = Mapping[tuple[fx.Node, str], Mask]

_NOTHING: Excused = {}
_ALL: AxisMasks = {}


def removable(
    program: Program,
    inference: Inference,
    axes: Iterable[Var],
    state: StateZeros,
    quantizer: QuantizerZeros,
    modes: Sequence[Mode] = MODES,
    excused: Excused = _NOTHING,
    kept: AxisMasks = _ALL,
) -> dict[Var, Mask]:
    """For each axis, the channels that contribute nothing at any sink of the graphs of these modes, unless `excused`.

    Removing any of them, alone or together, leaves every other value as it was (docs/design.md, section 5), once what
    is excused has been made up for, and if only the `kept` channels are kept.
    """
    masks = {axis: np.ones(axis.size, bool) for axis in axes}
    for mode in modes:
        facts = forward_zeros(program, inference, mode, state, quantizer)
        for step in reversed(inference.steps[mode]):  # what a sum of branches loses is known before its branches
            if any(variable in masks for sink in step.call.sinks for variable in variables(sink.dim)):
                _narrow_at_sinks(step, operand_facts(step.call, facts), masks, excused, kept)
    return masks


def _narrow_at_sinks(
    step: Step, facts: Mapping[str, Zeros], masks: dict[Var, Mask], excused: Excused, kept: AxisMasks
) -> None:
    found = step.record.sink_zeros(step.call, facts)
    for sink in step.call.sinks:
        quiet = [found.get(sink.letter), excused.get((step.call.node, sink.letter))]
        if sink.into is not None:
            result, places = sink.into
            going = {axis: masks[axis] & ~kept[axis] for axis in variables(result) if axis in masks and axis in kept}
            stays = over(result, {axis: ~mask for axis, mask in going.items()})
            quiet.append(~np.append(stays, False)[list(places)])
        said = [mask for mask in quiet if mask is not None]
        narrow(sink.dim, np.logical_or.reduce(said) if said else None, masks)


def forward_zeros(
    program: Program, inference: Inference, mode: Mode, state: StateZeros, quantizer: QuantizerZeros
) -> GraphZeros:
    """What is zero in every value of one graph."""
    facts: GraphZeros = {}
    steps = {step.call.node.name: step for step in inference.steps[mode]}
    for node in program.graphs[mode].nodes:
        shape = node.meta.get("shape")
        if node.op == "output" or shape is None:
            continue
        step = steps.get(node.name)
        if step is not None:
            operands = operand_facts(step.call, facts)
            if step.record.makes_zeros or any(map(_informative, operands.values())):
                made = step.record.zeros(step.call, operands)
                facts[node.name] = made if isinstance(shape, list) else made[0]
            else:
                facts[node.name] = _nothing(shape)
        elif node.op == "get_attr":
            facts[node.name] = state(str(node.target))
        elif node.op == "call_module":
            weight = facts[node.args[0].name]
            assert isinstance(weight, Zeros)
            facts[node.name] = quantizer(str(node.target), weight)
        elif node.target is operator.getitem:
            several = facts[node.args[0].name]
            facts[node.name] = several[node.args[1]] if isinstance(several, tuple) else Zeros.unknown(shape)
        else:  # an input of the model, or an operator without a rule
            facts[node.name] = _nothing(shape)
    return facts


def _informative(zeros: Zeros) -> bool:
    return zeros.whole or any(mask is not None for fact in zeros.dims for mask in fact.masks)


def _nothing(shape: Sequence[int] | list[tuple[int, ...]]) -> Zeros | tuple[Zeros, ...]:
    """Nothing is known of a value."""
    return tuple(map(_unknown, shape)) if isinstance(shape, list) else _unknown(tuple(shape))


_unknown = lru_cache(maxsize=4096)(Zeros.unknown)


def operand_facts(call: Call, facts: GraphZeros) -> dict[str, Zeros]:
    """What is zero in each operand of a call."""
    result: dict[str, Zeros] = {}
    for name in call.operands:
        fact = facts[call.node_of(name).name]
        assert isinstance(fact, Zeros)
        result[name] = fact
    return result
