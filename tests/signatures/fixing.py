"""What records say is fixed has to be the same for operands that differ anywhere else."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from scfx.terms.facts import Zeros, known, unknown
from tests.comparison import relative_error
from tests.signatures.case import Case, parts
from tests.signatures.samples import is_symbolic


class NotFixedError(AssertionError):
    """What a record says is the same for every input differs."""


def check_fixed(case: Case, turn: int) -> bool:
    """Check what the record of a call says in one round and return whether it said anything.

    Two draws of the operands are made equal in places. Where the record says that a result is fixed, it has to be equal
    for both.
    """
    target = case.sample.target
    if torch.Tag.nondeterministic_seeded in target.tags or "empty" in str(target):
        return False
    rng, generator = random.Random(turn), torch.Generator().manual_seed(turn)
    one, other = ({name: o.draw(generator) for name, o in case.operands.items()} for _ in range(2))
    for name in one:
        kind = case.operands[name].kind
        _make_alike(one[name], other[name], rng, parts=kind != "definite", zeros=kind == "float")
    fixed = {name: _alike(case.operands[name].shape, one[name], other[name]) for name in one}
    zeros = case.state_zeros({name: (one[name] != 0) | (other[name] != 0) for name in one})
    call = case.step.call
    nodes = {name: call.node_of(name).name for name in call.operands}
    found = case.step.record.fixed(call, *({name: facts[nodes[name]] for name in nodes} for facts in (fixed, zeros)))
    results = [case.run({name: tensor.clone() for name, tensor in each.items()}) for each in (one, other)]
    for zero, x, y in zip(found, *results, strict=True):
        _require(zero, parts(x), parts(y))
    return any(each.anywhere for each in found)


def _make_alike(one: Tensor, other: Tensor, rng: random.Random, parts: bool, zeros: bool) -> None:
    """Make two draws of an operand the same, or zero, along some of its dims; half of the time altogether."""
    for dim, size in enumerate(one.shape if parts else ()):
        chosen = torch.tensor([index for index in range(size) if rng.random() < 0.4], dtype=torch.int64)
        if zeros and rng.random() < 0.3:
            one.index_fill_(dim, chosen, 0)
            other.index_fill_(dim, chosen, 0)
        other.index_copy_(dim, chosen, one.index_select(dim, chosen))
    if rng.random() < 0.5:
        other.copy_(one)


def _alike(shape: tuple[int, ...], one: Tensor, other: Tensor) -> Zeros:
    """Where two tensors are equal, in the sizes of the graph."""
    same = one == other
    facts = []
    for dim, size in enumerate(shape):
        rest = [index for index in range(len(shape)) if index != dim]
        mask = same.all(dim=rest) if rest else same
        facts.append(unknown(size) if is_symbolic(size) else known(mask.numpy()))
    return Zeros.of(facts, bool(same.all()))


def _require(fixed: Zeros, one: Tensor, other: Tensor) -> None:
    pairs = [(one, other)] if fixed.whole else []
    for dim, fact in enumerate(fixed.dims):
        mask = None if is_symbolic(fact.size) else fact.flat()
        if mask is not None:
            chosen = torch.from_numpy(np.flatnonzero(mask))
            pairs.append((one.index_select(dim, chosen), other.index_select(dim, chosen)))
    for x, y in pairs:
        x, y = (each.nan_to_num() if each.is_floating_point() else each for each in (x, y))
        if not relative_error(x, y, floor=1e-3) <= 1e-10:
            raise NotFixedError(f"it is said that {fixed} is fixed, but there are {x} and {y}")
