"""Operators that put the indices of a dim in another order, or pick some of them: flip, roll, take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import scfx.nodes.lookups
from scfx.signatures.call import Call, Dims
from scfx.signatures.coded import Coded
from scfx.signatures.record import Kept, Record
from scfx.signatures.resizing import kept_size
from scfx.terms.dims import Dim, take
from scfx.terms.facts import Fact, Zeros, both, known, unknown
from scfx.terms.places import MAX_PLACES, pick

assert scfx.nodes.lookups.PLAIN  # registers scfx.take, scfx.part and scfx.put


def picked(call: Call, dim: Dim, indices: Sequence[int]) -> Dim:
    """The dim of some indices of another one; where axes can't be taken apart like this, both are pinned."""
    found = pick(dim, indices)
    if found is None:
        reason = f"{call.target} takes some indices of a dim with several axes"
        call.pin(dim, reason)
        found = call.fresh(len(indices), reason)
    return found


def picked_fact(fact: Fact, indices: Sequence[int] | NDArray[np.int64]) -> Fact:
    """What is known of some indices of a dimension."""
    mask = fact.flat()
    return unknown(len(indices)) if mask is None else known(mask[np.asarray(indices, np.int64)])


def left_of(dim: Dim, indices: Sequence[int], kept: Kept) -> list[int] | None:
    """Where those of the indices that stay are among all that stay; None where all of the dim stays."""
    if kept_size(dim, kept) == dim.size:
        return None
    mask, wanted = kept(dim), np.asarray(indices, np.int64)
    numbers: list[int] = (np.cumsum(mask) - 1)[wanted[mask[wanted]]].tolist()
    return numbers


# --------------------------------------------------------------- flip, roll


#: The dim that an operator flips which has no argument for it.
_FLIPS = {"aten.flipud.default": 0, "aten.fliplr.default": 1}


def _orders(call: Call) -> dict[int, NDArray[np.int64] | None]:
    """For each dim that is flipped or rolled its new order; None where that can't be said index by index."""
    shape = call.shape("self")
    if "shifts" in call.arguments and not call.arguments["dims"]:  # as if it were flat
        return dict.fromkeys(range(len(shape)))
    shifts = _shifts(call)

    def order(d: int) -> NDArray[np.int64]:
        return np.roll(np.arange(shape[d]), shifts[d]) if shifts else np.arange(shape[d])[::-1]

    given = call.arguments.get("dims", [_FLIPS.get(call.target)])
    moved = [int(d) % max(len(shape), 1) for d in given]
    return {d: order(d) if shape[d] <= MAX_PLACES else None for d in moved}


def _shifts(call: Call) -> dict[int, int]:
    """By how much each dim is rolled; several shifts of one dim add up."""
    result: dict[int, int] = {}
    if "shifts" in call.arguments:
        for d, shift in zip(call.arguments["dims"], call.integers("shifts"), strict=False):
            at = int(d) % call.rank("self")
            result[at] = result.get(at, 0) + shift
    return result


def _reordered(call: Call) -> tuple[Dims, ...]:
    dims = list(call.operands["self"])
    for d, order in _orders(call).items():
        if order is None:
            call.pin(dims[d], f"{call.target} works along it")
        else:
            dims[d] = take(dims[d], order)
    return (tuple(dims),)


def _reordered_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand = facts["self"]
    made = list(operand.dims)
    for d, order in _orders(call).items():
        made[d] = unknown(made[d].size) if order is None else picked_fact(made[d], order)
    return (Zeros.of(made, operand.whole),)


def _new_shifts(call: Call, kept: Kept) -> Mapping[str, Any]:
    """What comes around the end are as many indices as stay of those that did."""
    dims, shifts = call.operands["self"], _shifts(call)
    now = {
        d: shift if kept_size(dims[d], kept) == dims[d].size else int(kept(dims[d])[-(shift % dims[d].size) :].sum())
        for d, shift in shifts.items()
    }
    return {} if now == shifts else {"dims": list(now), "shifts": list(now.values())}


# --------------------------------------------------------------- take, put


def _place(call: Call) -> tuple[int, list[int]]:
    """The dim, and the indices along it."""
    return call.dim("dim", call.rank("self")), call.integers("index")


def _take(call: Call) -> tuple[Dims, ...]:
    dims, (at, indices) = call.operands["self"], _place(call)
    return ((*dims[:at], picked(call, dims[at], indices), *dims[at + 1 :]),)


def _take_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand, (at, indices) = facts["self"], _place(call)
    return (operand.replaced(at, picked_fact(operand.fact(at), indices)),)


def _left(call: Call, kept: Kept) -> Mapping[str, Any]:
    at, indices = _place(call)
    index = left_of(call.operands["self"][at], indices, kept)
    return {} if index is None else {"index": index}


def _part(call: Call) -> tuple[Dims, ...]:
    dims, at = call.operands["self"], call.dim("dim", call.rank("self"))
    call.pin(dims[at], "parts of it are taken, each with channels of its own")
    return ((*dims[:at], call.fresh(call.result_shapes[0][at]), *dims[at + 1 :]),)


def _part_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    return (facts["self"],) if call.arguments["index"] is None else _take_zeros(call, facts)


def _fewer(call: Call, kept: Kept) -> Mapping[str, Any]:
    """Of the indices, those of the channels of the result that stay."""
    at = call.dim("dim", call.rank("self"))
    made = call.results[0][at]
    if kept_size(made, kept) == made.size:
        return {}
    given = call.arguments["index"]
    indices = np.arange(made.size) if given is None else np.asarray(given, np.int64)
    return {"index": indices[kept(made)].tolist()}


def placed(call: Call, at: int, indices: Sequence[int]) -> tuple[Dims, ...]:
    """Some indices of a dim of `self` are replaced by `src`."""
    dims, source = call.operands["self"], call.operands["src"]
    for index, (a, b) in enumerate(zip(dims, source, strict=True)):
        call.unify(picked(call, a, indices) if index == at else a, b)
    return (dims,)


def placed_zeros(facts: Mapping[str, Zeros], at: int, indices: Sequence[int]) -> tuple[Zeros, ...]:
    """What is zero where some indices of a dim of `self` are replaced by `src`."""
    operand, source = facts["self"], facts["src"]
    made = [operand.fact(d) if d == at else both(operand.fact(d), source.fact(d)) for d in range(len(operand.dims))]
    before, new = made[at].flat(), source.fact(at).flat()
    if before is not None or new is not None:
        mask = np.zeros(made[at].size, bool) if before is None else before.copy()
        mask[np.asarray(indices, np.int64)] = False if new is None else new
        made[at] = known(mask)
    return (Zeros.of(made, operand.whole and source.whole),)


def _put(call: Call) -> tuple[Dims, ...]:
    return placed(call, *_place(call))


def _put_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    return placed_zeros(facts, *_place(call))


RECORDS: tuple[Record, ...] = (
    Coded(
        targets=("aten.flip.default",),
        doc="flips dims",
        dims=_reordered,
        zero=_reordered_zeros,
        copies=True,
        samples=(
            "op(t(B, 4, 5), [1])",
            "op(t(4, 5), [0, -1])",
            "op(t(B, 4), [0])",
            "op(t(4), [])",
        ),
    ),
    Coded(
        targets=("aten.flipud.default", "aten.fliplr.default"),
        doc="flips the first dim, or the second",
        dims=_reordered,
        zero=_reordered_zeros,
        copies=True,
        samples=("op(t(4, 5))", "op(t(B, 4, 5))"),
    ),
    Coded(
        targets=("aten.roll.default",),
        doc="rolls dims",
        dims=_reordered,
        zero=_reordered_zeros,
        copies=True,
        arguments=_new_shifts,
        samples=(
            "op(t(B, 4, 5), [1], [2])",
            "op(t(4, 5), [-2, 6], [0, -1])",
            "op(t(4, 5), [1, 1], [0, 0])",
            "op(t(B, 4), [1], [0])",
            "op(t(2, 3), [1])",
        ),
    ),
    Coded(
        targets=("scfx.take.default",),
        doc="picks indices that are written down",
        dims=_take,
        zero=_take_zeros,
        copies=True,
        arguments=_left,
        samples=(
            "op(t(B, 6, 2), 1, [0, 2, 4])",
            "op(t(B, 6), -1, [5, 1, 3, 0, 2, 4])",
            "op(t(5, 2), 0, [3, 3, 4, 0])",
            "op(t(2, 5), 1, [])",
        ),
    ),
    Coded(
        targets=("scfx.part.default",),
        doc="picks indices that are written down, for an axis of its own",
        dims=_part,
        zero=_part_zeros,
        copies=True,
        arguments=_fewer,
        samples=(
            "op(t(B, 6, 2), 1, [0, 2, 4])",
            "op(t(B, 6, 2), 1)",
            "op(t(5, 2), 0, [3, 3, 4, 0])",
        ),
    ),
    Coded(
        targets=("scfx.put.default",),
        doc="replaces indices that are written down",
        dims=_put,
        zero=_put_zeros,
        arguments=_left,
        samples=(
            "op(t(B, 6, 2), t(B, 3, 2), 1, [0, 2, 4])",
            "op(t(B, 6), t(B, 6), -1, [5, 1, 3, 0, 2, 4])",
            "op(t(5, 2), t(2, 2), 0, [4, 0])",
        ),
    ),
)
