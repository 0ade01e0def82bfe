"""The sum in which a branch meets its trunk: each operand, and the sum, has channels of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scfx.nodes.merging import MERGE
from scfx.signatures.call import Call, Dims, Sink
from scfx.signatures.record import Kept, Operator, Record, Replacement
from scfx.terms.dims import Dim
from scfx.terms.facts import Mask, Zeros, both, known

OPERANDS = ("self", "other")


def place_of(call: Call) -> int:
    """The dimension along which operands and result have channels of their own."""
    return call.dim("dim", call.rank("self"))


def places_of(call: Call, operand: str) -> NDArray[np.int64]:
    """For each channel of an operand its place in the sum, or -1."""
    given = call.arguments[f"{operand}_at"]
    return np.arange(call.shape(operand)[place_of(call)]) if given is None else np.asarray(given, np.int64)


def spread(at: NDArray[np.int64], mask: Mask | None, size: int, absent: bool = True) -> Mask:
    """What an operand's mask says of the places in the sum; those that it lacks are as `absent` says."""
    result = np.full(size, absent)
    here = at >= 0
    result[at[here]] = False if mask is None else mask[here]
    return result


@dataclass(frozen=True, kw_only=True)
class Merge(Operator):
    """A sum whose operands need not have all channels of it, nor it all of theirs."""

    makes_zeros: bool = True  # at a channel that both operands lack

    def infer(self, call: Call) -> tuple[Dims, ...]:
        at, size = place_of(call), call.integer(call.arguments["size"])
        for index, (a, b) in enumerate(zip(call.operands["self"], call.operands["other"], strict=True)):
            if index != at:
                call.unify(a, b)
        made: Dim = call.fresh(size)
        for name in OPERANDS:
            listens = (made, tuple(places_of(call, name).tolist()))
            call.sinks.append(Sink("merge", name, call.operands[name][at], listens))
        dims = call.operands["self"]
        return ((*dims[:at], made, *dims[at + 1 :]),)

    def zeros(self, call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        at = place_of(call)
        size = call.result_shapes[0][at]
        one, other = (facts[name] for name in OPERANDS)
        masks = [spread(places_of(call, name), facts[name].along(at), size) for name in OPERANDS]
        along = known(np.logical_and.reduce(masks))
        made = [along if d == at else both(one.fact(d), other.fact(d)) for d in range(len(one.dims))]
        return (Zeros.of(made, one.whole and other.whole),)

    def fixed(self, call: Call, fixed: Mapping[str, Zeros], zeros: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        """Fixed where each operand is that has the channel."""
        return self.zeros(call, fixed)

    def sink_zeros(self, call: Call, facts: Mapping[str, Zeros]) -> Mapping[str, Mask | None]:
        return {name: facts[name].along(place_of(call)) for name in OPERANDS}

    def resize(self, call: Call, kept: Kept) -> Replacement | None:
        at = place_of(call)
        stays = kept(call.results[0][at])
        numbers = np.append(np.where(stays, np.cumsum(stays) - 1, -1), -1)  # what is at -1 stays there
        changed: dict[str, Any] = {"size": int(stays.sum())}
        for name in OPERANDS:
            places = numbers[places_of(call, name)[kept(call.operands[name][at])]]
            whole = np.array_equal(places, np.arange(changed["size"]))
            changed[f"{name}_at"] = None if whole else places.tolist()
        same = all(changed[name] == call.arguments[name] for name in changed)
        return None if same else Replacement(changed)


RECORDS: tuple[Record, ...] = (
    Merge(
        targets=(str(MERGE),),
        doc="a branch meets its trunk: a sum of what each has",
        samples=(
            "op(t(B, 4, 3), t(B, 4, 3), 1, 4)",
            "op(t(B, 3, 4), t(B, 3, 4), -1, 4)",
            "op(t(B, 3, 2), t(B, 4, 2), 1, 5, [0, 2, 3], [1, 2, -1, 4])",
            "op(t(B, 2, 4), t(B, 2, 3), 2, 4, [0, 1, 2, 3], [-1, 1, 3])",
            "op(t(5, 2), t(2, 2), 0, 4, [0, 1, -1, 2, 3], [-1, 2])",
            "op(t(B, 4), t(B, 3), 1, 6, [0, 2, 4, 5], [1, 2, 4])",
        ),
    ),
)
