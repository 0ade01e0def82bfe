"""Constants that a layer can take over: what a channel adds to it is the same number whatever the inputs are.

A dead filter with a bias, or behind a batch norm with a shift, puts out a constant. A layer that sums over its channels
gets a constant from it, which its own bias can hold, and then the channel is not needed.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scfx.capture.program import Mode
from scfx.graph.channels import ChannelGraph
from scfx.removal.fixed import forward_fixed
from scfx.removal.sample_run import values_of
from scfx.removal.takers import Taker, takers
from scfx.removal.zero_facts import ZeroFacts
from scfx.removal.zeros import operand_facts
from scfx.terms.dims import Dim
from scfx.terms.facts import Mask

#: How far apart, in rounding errors of their dtype, numbers may be that are equal in exact arithmetic.
_ROUNDING = 1000


@dataclass(frozen=True)
class Constants:
    """The channels that add a constant to one layer.

    Attributes:
        nodes: The layer's node in each graph that was looked at.
        letter: The letter of its sink.
        summed: The dim that it sums over.
        made: The dim of its outputs.
        weight: The parameter behind its weight, or the node.
        operand: The name of the operand that is its bias.
        bias: Its bias by state-dict name; None if it has none.
        mask: Which indices of `summed` add a constant.
        amounts: What each of these adds, as (outputs, marked indices).
        rounding: How far these may be off, relative to the largest.
    """

    nodes: Mapping[Mode, str]
    letter: str
    summed: Dim
    made: Dim
    weight: str
    operand: str
    bias: str | None
    mask: Mask
    amounts: NDArray[np.float64]
    rounding: float


def find_constants(graph: ChannelGraph, facts: ZeroFacts, modes: Sequence[Mode], new_bias: bool) -> list[Constants]:
    """Finds the layers of which some inputs are constants, the same ones in each of the modes.

    Args:
        graph: The channel graph of a program, whose tensors are read as they are. Nothing changes.
        facts: What is zero in these tensors.
        modes: The modes in which the constants have to be the same.
        new_bias: Whether layers that have no bias may get one.
    """
    found: list[dict[tuple[str, int], Constants]] = []
    for mode in modes:
        candidates = list(_candidates(graph, facts, mode))
        if not candidates or any(parameter.is_meta for parameter in graph._program.root.parameters()):
            return []
        names = {node.name for taker, _ in candidates for node in (taker.data, taker.weight)}
        try:
            values = values_of(graph._program, mode, names)
        except Exception as error:
            warnings.warn(f"no constants are absorbed: the {mode} graph fails on random inputs: {error}", stacklevel=2)
            return []
        uses: Counter[str] = Counter()
        found.append({})
        for taker, fixed in candidates:
            uses[taker.source] += 1
            constants = _constants(mode, taker, fixed, values, new_bias)
            if constants is not None:
                found[-1][taker.source, uses[taker.source]] = constants
    first, *others = found
    for other in others:
        first = {key: both for key, one in first.items() if key in other and (both := _agreed(one, other[key]))}
    return list(first.values())


def _candidates(graph: ChannelGraph, facts: ZeroFacts, mode: Mode) -> Iterator[tuple[Taker, Mask]]:
    """Layers with fixed inputs that aren't known to be zero, and which inputs of each are fixed."""
    zeros = facts.forward(mode)
    fixed = forward_fixed(graph._program, graph._inference, mode, zeros)
    found: list[tuple[Taker, Mask]] = []
    news = False
    for taker in takers(graph, mode):
        call = taker.step.call
        now, gone = (operand_facts(call, facts)[taker.operands[0]].along(taker.data_dim) for facts in (fixed, zeros))
        if now is not None and operand_facts(call, fixed)[taker.operands[1]].whole:
            found.append((taker, now))
            news = news or bool((now if gone is None else now & ~gone).any())
    if news:
        yield from found


def _constants(
    mode: Mode, taker: Taker, fixed: Mask, values: Sequence[Mapping[str, Tensor]], new_bias: bool
) -> Constants | None:
    """What a layer's fixed inputs add to it, as far as these are the same number everywhere, and for all sizes."""
    weight, *others = (each[taker.weight.name].double() for each in values)
    data = [each[taker.data.name] for each in values]
    rows = torch.cat([each.double().movedim(taker.data_dim, 0).flatten(1) for each in data], 1)
    numbers = rows[:, 0]
    rounding = _ROUNDING * torch.finfo(data[0].dtype).eps
    if any((other - weight).abs().max() > rounding * weight.abs().max() for other in others):
        return None
    usable = ((rows - numbers[:, None]).abs().amax(1) <= rounding * numbers.abs()) & numbers.isfinite()
    if not (taker.adds and (taker.bias is not None or new_bias)):
        usable &= numbers == 0
    mask = fixed & usable.cpu().numpy()
    if not mask.any():
        return None
    rest = [dim for dim in range(weight.ndim) if dim not in (taker.summed_dim, taker.made_dim)]
    table = weight.sum(rest) if rest else weight
    table = table if taker.made_dim < taker.summed_dim else table.T
    chosen = torch.from_numpy(np.flatnonzero(mask)).to(table.device)
    amounts = (table[:, chosen] * numbers[chosen]).cpu().numpy()
    call = taker.step.call
    return Constants(
        nodes={mode: call.node.name},
        letter=taker.letter,
        summed=call.sinks[0].dim,
        made=call.operands[taker.operands[1]][taker.made_dim],
        weight=taker.source,
        operand=taker.bias_operand,
        bias=taker.bias,
        mask=mask,
        amounts=amounts,
        rounding=rounding,
    )


def _agreed(one: Constants, other: Constants) -> Constants | None:
    """What two graphs say alike of the same layer."""
    shared = one.mask & other.mask
    mine, theirs = (each.amounts[:, shared[each.mask]] for each in (one, other))
    near = np.abs(mine - theirs).max(0, initial=0) <= one.rounding * np.abs(mine).max(0, initial=0)
    shared[shared] = near
    if one.bias != other.bias or not shared.any():
        return None
    return replace(other, nodes={**one.nodes, **other.nodes}, mask=shared, amounts=theirs[:, near])
