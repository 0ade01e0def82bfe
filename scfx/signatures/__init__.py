"""The rule table: what every known operator does to the dims of its operands, one record each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch

from scfx.nodes.autocasting import original
from scfx.signatures import (
    attention,
    convolution,
    creating,
    cumulative,
    elementwise,
    fourier,
    indexing,
    joining,
    linear,
    matrices,
    merging,
    norm,
    ordering,
    padding,
    pairs,
    pooling,
    rearranging,
    recurrent,
    reduction,
    regrouping,
    repeating,
    replacing,
    taking,
)
from scfx.signatures.record import Record

#: The files of the rule table, in the order of the operator table.
FAMILIES = (
    convolution,
    linear,
    attention,
    recurrent,
    norm,
    elementwise,
    pooling,
    reduction,
    cumulative,
    pairs,
    fourier,
    matrices,
    regrouping,
    rearranging,
    ordering,
    repeating,
    joining,
    merging,
    taking,
    replacing,
    padding,
    indexing,
    creating,
)

#: Every record by the qualified name of its operator.
TABLE: dict[str, Record] = {
    target: record for family in FAMILIES for record in family.RECORDS for target in record.targets
}


@lru_cache(maxsize=4096)
def name_of(target: object) -> str:
    """The qualified name of an operator, such as "aten.conv2d.default"; of one under autocast, the original's."""
    target = original(target)
    return str(target) if isinstance(target, torch._ops.OpOverload) else getattr(target, "__name__", str(target))


def lookup(target: object) -> Record | None:
    """The record of an operator, or None where scfx has no rule for it."""
    record = TABLE.get(name_of(target))
    return elementwise.POINTWISE if record is None and elementwise.is_tagged(target) else record


@contextmanager
def override(target: str, record: Record | None) -> Iterator[None]:
    """Puts another record (or none) in an operator's place for a while: for tests that plant wrong rules."""
    before = dict(TABLE)
    TABLE.pop(target, None)
    if record is not None:
        TABLE[target] = record
    try:
        yield
    finally:
        TABLE.clear()
        TABLE.update(before)
