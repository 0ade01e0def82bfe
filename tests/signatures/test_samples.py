"""The generic property over every sample of every record, and no record without samples."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from torch.utils import _pytree as pytree

from scfx.signatures import FAMILIES, TABLE
from scfx.signatures.record import Record
from scfx.terms.dims import variables
from scfx.terms.facts import LARGE
from tests.signatures.case import case_of, mask_of
from tests.signatures.harness import check
from tests.signatures.samples import samples_of

RECORDS = [record for family in FAMILIES for record in family.RECORDS]


def _id(record: Record) -> str:
    return record.targets[0].removeprefix("aten.").removesuffix(".default")


@pytest.mark.parametrize("record", RECORDS, ids=_id)
def test_slicing_commutes_with_the_operator(record: Record) -> None:
    for sample in samples_of(record, record.samples):
        check(sample)


@pytest.mark.parametrize("record", RECORDS, ids=_id)
def test_every_operator_of_a_record_has_a_sample(record: Record) -> None:
    sampled = {str(sample.target) for sample in samples_of(record, record.samples)}
    assert sampled == set(record.targets)


@pytest.mark.parametrize("record", [record for record in RECORDS if record.refused], ids=_id)
def test_what_a_record_cannot_say_is_pinned(record: Record) -> None:
    for sample in samples_of(record, record.refused):
        case = case_of(sample)
        dims = [dim for group in (*case.inference.state.values(), *case.results) for dim in group]
        free = [axis for dim in dims for axis in variables(dim) if axis.pin is None]
        assert not free, f"{sample}: {free}"


def test_every_operator_stands_in_one_record() -> None:
    targets = [target for record in RECORDS for target in record.targets]
    assert len(targets) == len(set(targets)) == len(TABLE)


@pytest.mark.parametrize("record", RECORDS, ids=_id)
def test_a_symbolic_batch_is_never_written_down_as_a_number(record: Record) -> None:
    """Nothing the size of the prime that stands for the batch size may get into an argument."""
    for sample in samples_of(record, tuple(text for text in record.samples if "B" in text)):
        case = case_of(sample)
        kept = {axis: np.arange(axis.size) > 0 for axis in case.axes}
        change = case.step.record.resize(case.step.call, partial(mask_of, kept=kept))
        values = [] if change is None else pytree.tree_leaves(list(change.arguments.values()))
        assert not any(isinstance(value, int) and LARGE < abs(value) < 2**62 for value in values), f"{sample}: {change}"
