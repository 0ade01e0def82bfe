"""The generic property over every sample of every record, and no record without samples."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scfx.dims import variables
from scfx.signatures import FAMILIES, TABLE
from scfx.signatures.record import Record
from tests.signatures.case import case_of
from tests.signatures.harness import check
from tests.signatures.samples import Sample, samples_of

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


def _symbolic() -> Iterator[Sample]:
    for record in RECORDS:
        yield from (sample for sample in samples_of(record, record.samples) if "B" in sample.text)


def test_a_symbolic_batch_is_never_written_down_as_a_number() -> None:
    """Nothing the size of the prime that stands for the batch size may get into an argument."""
    for sample in _symbolic():
        case = case_of(sample)
        kept = {axis: _all_but_one(axis.size) for axis in case.axes}
        from tests.signatures.case import mask_of

        change = case.step.record.resize(case.step.call, lambda dim, kept=kept: mask_of(dim, kept))  # type: ignore[misc]
        assert change is None or not any(_is_large(value) for value in change.arguments.values()), f"{sample}: {change}"


def _all_but_one(size: int) -> object:
    import numpy as np

    mask = np.ones(size, bool)
    mask[0] = False
    return mask


def _is_large(value: object) -> bool:
    values = value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(v, int) and v != 2**63 - 1 and abs(v) > 2**26 for v in values)
