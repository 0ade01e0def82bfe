"""Layers that sum over channels, and whether a constant in this sum could as well be in their bias."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import fx

from scfx.capture.program import Mode
from scfx.graph.channels import ChannelGraph
from scfx.graph.inference import Step
from scfx.removal.zero_facts import fetch
from scfx.signatures.binding import Binding
from scfx.signatures.pattern import Pattern
from scfx.terms.dims import variables
from scfx.terms.facts import LARGE


@dataclass(frozen=True)
class Taker:
    """A layer that sums over channels that may go.

    Attributes:
        step: Its call.
        letter: The letter of its sink.
        operands: The names of its operands: what it sums over, and its weight.
        data, weight: The nodes that make them.
        source: The parameter behind the weight, or the weight's node.
        data_dim: The dim of `data` that it sums over.
        summed_dim, made_dim: The dims of `weight` that it sums over and that become its outputs.
        adds: Whether a constant at one channel is the same constant at every position of the outputs.
        bias_operand: The name of the operand that is its bias; "" if the operator has none.
        bias: Its bias by state-dict name; None if it has none, or one that isn't its own.
    """

    step: Step
    letter: str
    operands: tuple[str, str]
    data: fx.Node
    weight: fx.Node
    source: str
    data_dim: int
    summed_dim: int
    made_dim: int
    adds: bool
    bias_operand: str
    bias: str | None


def takers(graph: ChannelGraph, mode: Mode) -> Iterator[Taker]:
    """The layers of one graph that sum products of channels, some of which may go, and of a weight."""
    for step in graph._inference.steps[mode]:
        taker = _taker(graph, mode, step)
        if taker is not None:
            yield taker


def _taker(graph: ChannelGraph, mode: Mode, step: Step) -> Taker | None:
    record, call = step.record, step.call
    if not isinstance(record, Pattern) or not isinstance(call.binding, Binding) or record.weight is None:
        return None
    if [sink.kind for sink in call.sinks] != ["contract"]:
        return None
    if not any(variable in graph._prunable for variable in variables(call.sinks[0].dim)):
        return None
    if any(size > LARGE for size in call.shape(record.weight)):  # made for each sample or position: no weight
        return None
    products, *added = [[name.strip() for name in term.split("*")] for term in record.zero.split("+")]
    if len(products) != 2 or record.weight not in products or len(added) > 1:
        return None
    bound, letter = call.binding, call.sinks[0].letter
    name = next(name for name in products if name != record.weight)
    data_dim, summed_dim = (_place(bound, operand, {letter}) for operand in (name, record.weight))
    made_dim = _place(bound, record.weight, {x for dim in bound.signature.results[0] for x in dim})
    if data_dim is None or summed_dim is None or made_dim is None:
        return None
    operand = added[0][0] if added else ""
    bias: str | None = None
    if operand in call.operands and [x for dim in bound.operand(operand) for x in dim] == [
        *bound.operand(record.weight)[made_dim]
    ]:
        bias = _own_bias(graph, mode, call.node_of(operand))
    free = operand in call.arguments and call.arguments[operand] is None
    weight = call.node_of(record.weight)
    return Taker(
        step=step,
        letter=letter,
        operands=(name, record.weight),
        data=call.node_of(name),
        weight=weight,
        source=_source(weight),
        data_dim=data_dim,
        summed_dim=summed_dim,
        made_dim=made_dim,
        adds=_sums_plainly(call.arguments) and (free or bias is not None),
        bias_operand=operand,
        bias=bias,
    )


def _sums_plainly(arguments: Mapping[str, Any]) -> bool:
    """Whether every position of the result sums the same: no padding, not transposed, nothing scaled."""
    padding = arguments.get("padding", 0)
    plain = padding == "valid" or (not isinstance(padding, str) and not np.any(padding))
    scaled = any(arguments.get(name, 1) != 1 for name in ("alpha", "beta"))
    return plain and not scaled and "output_padding" not in arguments


def _place(bound: Binding, operand: str, letters: set[str]) -> int | None:
    """The one dim of an operand that consists of some letters; None if there are several, or others in it."""
    dims = [(index, set(dim) & letters, set(dim) - letters) for index, dim in enumerate(bound.operand(operand))]
    mine = [(index, others) for index, own, others in dims if any(bound.sizes[x] != 1 for x in own)]
    mine = mine or [(index, others) for index, own, others in dims if own]
    return mine[0][0] if len(mine) == 1 and all(bound.sizes[x] == 1 for x in mine[0][1]) else None


def _own_bias(graph: ChannelGraph, mode: Mode, node: fx.Node) -> str | None:
    """The name of a bias that is a parameter of the model, used here and nowhere else."""
    if node.op != "get_attr" or str(node.target) not in graph._parameters or len(node.users) != 1:
        return None
    root = graph._program.root
    tensor = fetch(root, str(node.target))
    fetched = [other for other in graph._program.graphs[mode].find_nodes(op="get_attr") if "shape" in other.meta]
    alike = [other for other in fetched if fetch(root, str(other.target)) is tensor]
    return str(node.target) if alike == [node] else None


def _source(weight: fx.Node) -> str:
    """The name of the parameter behind a weight, through its quantizer."""
    node = weight.all_input_nodes[0] if weight.op == "call_module" else weight
    return str(node.target) if node.op == "get_attr" else weight.name
