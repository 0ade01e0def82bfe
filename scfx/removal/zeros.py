"""Which channels can be removed without changing what is computed: a pass of zeros, then a look at every sink."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from torch import fx

from scfx.capture.program import MODES, Mode, Program
from scfx.graph.inference import Inference, Made, Passed, Remembered, RememberedSinks, Step
from scfx.graph.masks import AxisMasks, narrow, over
from scfx.signatures.call import Call
from scfx.terms.dims import Var, variables
from scfx.terms.facts import Mask, Zeros, alike

#: What is known to be zero in a parameter or buffer, by state-dict name.
StateZeros = Callable[[str], Zeros]

#: What is known to be zero in what a quantizer makes, by its module's name, given its weight's zeros.
QuantizerZeros = Callable[[str, Zeros], Zeros]

#: What is zero in what each node of a graph makes, by node name.
GraphZeros = dict[str, Zeros | tuple[Zeros, ...]]

#: At some sinks, by node and letter, indices that may contribute something.
Excused = Mapping[tuple[fx.Node, str], Mask]

#: How many results are remembered of each node: a search for what can go asks again under other assumptions.
REMEMBERED = 4

T = TypeVar("T")

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

    Removing any of them, alone or together, leaves every other value as it was (docs/exactness.md), once what
    is excused has been made up for, and if only the `kept` channels are kept.
    """
    masks = {axis: np.ones(axis.size, bool) for axis in axes}
    for mode in modes:
        if not any(mask.any() for mask in masks.values()):
            break
        passed = _pass(program, inference, mode, state, quantizer)
        if excused or any(sink.into is not None for step in inference.steps[mode] for sink in step.call.sinks):
            _narrow(inference, mode, passed, masks, excused, kept)
            continue
        if passed.quiet is None or passed.quiet.keys() != masks.keys():
            passed.quiet = {axis: np.ones(axis.size, bool) for axis in masks}
            _narrow(inference, mode, passed, passed.quiet, excused, kept)
        for axis, mask in passed.quiet.items():
            masks[axis] = masks[axis] & mask
    return masks


def _narrow(
    inference: Inference, mode: Mode, passed: Passed, masks: dict[Var, Mask], excused: Excused, kept: AxisMasks
) -> None:
    """Strikes the channels that may get something through at a sink of one graph."""
    for step in reversed(inference.steps[mode]):  # what a sum of branches loses is known before its branches
        if any(variable in masks for sink in step.call.sinks for variable in variables(sink.dim)):
            _narrow_at_sinks(step, _sink_zeros(step, passed.found, inference.quiet), masks, excused, kept)


def _sink_zeros(
    step: Step, facts: GraphZeros, memory: dict[fx.Node, list[RememberedSinks]]
) -> Mapping[str, Mask | None]:
    """What gets nothing through at each sink of a call, from a pass before if its operands are the same."""
    operands = operand_facts(step.call, facts)
    before, known = memory.setdefault(step.call.node, []), tuple(operands.values())
    found = _found(before, known)
    if found is None:
        found = step.record.sink_zeros(step.call, operands)
        before.append((known, found))
        del before[:-REMEMBERED]
    return found


def _narrow_at_sinks(
    step: Step, found: Mapping[str, Mask | None], masks: dict[Var, Mask], excused: Excused, kept: AxisMasks
) -> None:
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
    """What is zero in every value of one graph.

    What was found in the last passes is used again where nothing has changed: `inference` keeps it.
    """
    return _pass(program, inference, mode, state, quantizer).found


def _pass(program: Program, inference: Inference, mode: Mode, state: StateZeros, quantizer: QuantizerZeros) -> Passed:
    """One of the last passes over this graph if it started from the same, or else a new one."""
    nodes = [node for node in program.graphs[mode].nodes if node.op != "output" and node.meta.get("shape") is not None]
    memory = inference.memory[mode]
    facts: GraphZeros = {}
    for node in nodes:
        if node.op in ("get_attr", "call_module"):
            made: Made = _of_state(node, facts, state, quantizer)
            facts[node.name] = _remember(memory.setdefault(node.name, []), (), made)
    start, passes = tuple(facts.values()), inference.passes[mode]
    passed = next((each for each in passes if all(map(operator.is_, each.start, start))), None)
    if passed is None:
        passed = Passed(start, facts)
        _forward(nodes, {step.call.node.name: step for step in inference.steps[mode]}, memory, facts)
        passes.append(passed)
        del passes[:-REMEMBERED]
    return passed


def _of_state(node: fx.Node, facts: GraphZeros, state: StateZeros, quantizer: QuantizerZeros) -> Zeros:
    """What is zero in a parameter or buffer, or in what a quantizer makes of one."""
    if node.op == "get_attr":
        return state(str(node.target))
    weight = facts[node.all_input_nodes[0].name]
    assert isinstance(weight, Zeros)
    return quantizer(str(node.target), weight)


def _forward(
    nodes: Iterable[fx.Node], steps: Mapping[str, Step], memory: dict[str, list[Remembered]], facts: GraphZeros
) -> None:
    """Adds what is zero in what operators make."""
    for node in nodes:
        if node.name in facts:
            continue
        step, shape = steps.get(node.name), node.meta["shape"]
        if step is not None:
            operands, before = operand_facts(step.call, facts), memory.setdefault(node.name, [])
            known = tuple(operands.values())
            made = _found(before, known)
            facts[node.name] = _remember(before, known, _made(step, operands, shape)) if made is None else made
        elif node.target is operator.getitem:
            source, index = node.args
            several = facts[str(source)]
            facts[node.name] = several[index] if isinstance(several, tuple) else _unknown(tuple(shape))  # type: ignore[index]
        else:  # an input of the model, or an operator without a rule
            facts[node.name] = _nothing(shape)


def _made(step: Step, operands: Mapping[str, Zeros], shape: Sequence[Any]) -> Made:
    if not step.record.makes_zeros and not any(map(_informative, operands.values())):
        return _nothing(shape)
    made = step.record.zeros(step.call, operands)
    return made if isinstance(shape, list) else made[0]


def _found(before: Sequence[tuple[tuple[Zeros, ...], T]], operands: tuple[Zeros, ...]) -> T | None:
    """What was found before of operands that are the very same objects, if it is remembered."""
    return next((found for known, found in before if all(map(operator.is_, known, operands))), None)


def _remember(before: list[Remembered], operands: tuple[Zeros, ...], made: Made) -> Made:
    """Remembers what was made, or rather what was made before if that says the same: it is recognised by identity."""
    new = made if isinstance(made, tuple) else (made,)
    for _, earlier in before:
        if all(map(alike, earlier if isinstance(earlier, tuple) else (earlier,), new)):
            made = earlier
            break
    before.append((operands, made))
    del before[:-REMEMBERED]
    return made


def _informative(zeros: Zeros) -> bool:
    return zeros.whole or any(mask is not None for fact in zeros.dims for mask in fact.masks)


def _nothing(shape: Sequence[int] | list[tuple[int, ...]]) -> Zeros | tuple[Zeros, ...]:
    """Nothing is known of a value."""
    return tuple(map(_unknown, shape)) if isinstance(shape, list) else _unknown(tuple(shape))


_unknown = lru_cache(maxsize=4096)(Zeros.unknown)


def operand_facts(call: Call, facts: GraphZeros) -> dict[str, Zeros]:
    """What is zero in each operand of a call."""
    result: dict[str, Zeros] = {}
    for name, maker in call.makers:
        fact = facts[maker]
        assert isinstance(fact, Zeros)
        result[name] = fact
    return result
