"""Where records say that results are fixed: the generic test has checked that it is so, here it is said at all."""

from __future__ import annotations

import dataclasses

import pytest

from scfx.signatures import TABLE, override
from scfx.signatures.coded import Coded
from scfx.signatures.elementwise import POINTWISE
from scfx.signatures.pattern import Pattern
from tests.signatures.case import case_of
from tests.signatures.fixing import NotFixedError, check_fixed
from tests.signatures.samples import Sample, read, samples_of

ROUNDS = 12


def said(sample: Sample) -> int:
    """Check a sample and return in how many rounds its record said anything."""
    case = case_of(sample)
    return sum(check_fixed(case, turn) for turn in range(ROUNDS))


@pytest.mark.parametrize(
    "name",
    """conv2d.default conv_transpose2d.input linear.default addmm.default batch_norm.default layer_norm.default
    avg_pool2d.default max_pool2d.default mean.dim cat.default stack.default view.default permute.default select.int
    split_with_sizes.default expand.default""".split(),
)
def test_something_is_said(name: str) -> None:
    record = TABLE[f"aten.{name}"]
    samples = [sample for sample in samples_of(record, record.samples) if str(sample.target) == f"aten.{name}"]
    assert any(map(said, samples))


@pytest.mark.parametrize("text", ["relu.default(t(3, 4))", "add.Tensor(t(3, 4), t(4))", "mul.Tensor(t(B, 4), t(B, 4))"])
def test_element_wise(text: str) -> None:
    assert said(read(POINTWISE, text, "aten.relu.default"))


def test_a_wrong_rule_is_seen() -> None:
    """A softmax that claims to treat each index alone."""
    wrong = Pattern(targets=("aten.softmax.int",), signature="b c -> b c", pointwise="b c", zero="self")
    with override("aten.softmax.int", wrong), pytest.raises(NotFixedError):
        said(read(wrong, "op(t(3, 4), 1)", "aten.softmax.int"))


def test_a_gated_linear_unit_is_no_copy() -> None:
    """A record in code says nothing, unless its operator only moves entries."""
    record = TABLE["aten.glu.default"]
    assert isinstance(record, Coded)
    assert not any(map(said, samples_of(record, record.samples)))
    wrong = dataclasses.replace(record, copies=True)
    with override("aten.glu.default", wrong), pytest.raises(NotFixedError):
        said(read(wrong, "op(t(3, 8), 1)", "aten.glu.default"))
