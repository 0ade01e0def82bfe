"""The harness itself: wrong rules, planted one by one, must be caught."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scfx.signatures import TABLE, elementwise, override
from scfx.signatures.call import Call
from scfx.signatures.coded import Coded
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Record
from scfx.terms.facts import Zeros
from tests.signatures.harness import WrongRuleError, check
from tests.signatures.missing import missing
from tests.signatures.samples import read

LINEAR = "op(t(B, 4), t(5, 4), t(5))"


def linear(**changes: object) -> Pattern:
    record = TABLE["aten.linear.default"]
    assert isinstance(record, Pattern)
    return replace(record, **changes)  # type: ignore[arg-type]


def layer_norm(counted: str | None) -> Pattern:
    return Pattern(
        targets=("aten.layer_norm.default",),
        signature="*b c, c, c -> *b c",
        operands=("input", "weight", "bias"),
        pointwise="*b",
        statistic="c",
        size_lists={"normalized_shape": "c"},
        zero="normalized*weight + bias",
        counted=counted,
    )


def coded(target: str, **changes: object) -> Coded:
    record = TABLE[target]
    assert isinstance(record, Coded)
    return replace(record, **changes)  # type: ignore[arg-type]


def one_letter(target: str, **kinds: str) -> Pattern:
    return Pattern(targets=(target,), signature="b c s -> b c s", **kinds)  # type: ignore[arg-type]


def all_zero(call: Call, facts: object) -> tuple[Zeros, ...]:
    return tuple(Zeros.of(Zeros.unknown(shape).dims, True) for shape in call.result_shapes)


WRONG: dict[str, tuple[str, str, Record]] = {
    "a contracted dim said to be pointwise": ("aten.linear.default", LINEAR, linear(pointwise="*b o i", contract="")),
    "dims coupled that are not": (
        "aten.linear.default",
        "op(t(B, 4), t(4, 4), t(4))",
        linear(signature="*b i, i o, o -> *b o"),
    ),
    "a bias forgotten in the zeros": ("aten.linear.default", LINEAR, linear(zero="input*weight")),
    "a sum taken for a product": ("aten.linear.default", LINEAR, linear(zero="input*weight*bias")),
    "softmax independent along its dim": (
        "aten.softmax.int",
        "op(t(B, 4, 5), 1)",
        one_letter("aten.softmax.int", pointwise="b c s"),
    ),
    "softmax a sum that zeros don't enter": (
        "aten.softmax.int",
        "op(t(B, 4, 5), 1)",
        Pattern(targets=("aten.softmax.int",), signature="b c s -> b c s", pointwise="b s", contract="c", zero="self"),
    ),
    "zeros of a softmax": (
        "aten.softmax.int",
        "op(t(B, 4, 5), 1)",
        one_letter("aten.softmax.int", pointwise="b s", zero="self"),
    ),
    "a layer norm that forgets its count": (
        "aten.layer_norm.default",
        "op(t(B, 5, 6), [6], t(6), t(6))",
        layer_norm(None),
    ),
    "a cumulation that keeps zeros in place": (
        "aten.cumsum.default",
        "op(t(B, 4, 5), 1)",
        one_letter("aten.cumsum.default", pointwise="b c s", zero="self"),
    ),
    "a size argument forgotten": (
        "aten.view.default",
        "op(t(B, 12), [B, 3, 4])",
        coded("aten.view.default", arguments=lambda call, kept: {}),
    ),
    "bounds of a slice forgotten": (
        "aten.slice.Tensor",
        "op(t(B, 8), 1, 2, 6)",
        coded("aten.slice.Tensor", arguments=lambda call, kept: {}),
    ),
    "zeros out of nothing": ("aten.slice.Tensor", "op(t(B, 8), 1, 2, 6)", coded("aten.slice.Tensor", zero=all_zero)),
    "an extremum said to be a sum": (
        "aten.amax.default",
        "op(t(B, 4, 5), [1])",
        Pattern(targets=("aten.amax.default",), signature="b c s -> b s", pointwise="b s", contract="c", zero="self"),
    ),
    "cosine said to keep zeros": (
        "aten.cos.default",
        "op(t(B, 4))",
        elementwise.Elementwise(targets=("aten.cos.default",), zero="self"),
    ),
    "a rule that allows nothing to be compared": (
        "aten.relu.default",
        "op(t(B, 4, 5))",
        Pattern(
            targets=("aten.relu.default",), signature="b c s -> b c s", pointwise="b s", contract="c", zero="other"
        ),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_caught(name: str) -> None:
    target, text, wrong = WRONG[name]
    right = TABLE.get(target, elementwise.POINTWISE)
    check(read(right, text, target))
    with override(target, wrong), pytest.raises(WrongRuleError):
        check(read(wrong, text, target))


def test_a_missing_rule_is_an_error_of_the_sample() -> None:
    sample = read(linear(), LINEAR, "aten.linear.default")
    with override("aten.linear.default", None), pytest.raises(WrongRuleError, match="no rule"):
        check(sample)


def test_what_a_record_pins_without_need_is_listed() -> None:
    relu = one_letter("aten.relu.default", pointwise="b s")
    summed = Pattern(targets=("aten.sum.dim_IntList",), signature="b c s -> b s", pointwise="b s", zero="self")
    with override("aten.relu.default", relu), override("aten.sum.dim_IntList", summed):
        (first,) = missing(read(relu, "op(t(B, 4, 5))", "aten.relu.default"))
        (second,) = missing(read(summed, "op(t(B, 4, 5), [1])", "aten.sum.dim_IntList"))
    assert "dim 1 of x0" in first
    assert "looks like pointwise" in first
    assert "looks like contract" in second


def test_what_has_to_be_pinned_is_not_listed() -> None:
    softmax = TABLE["aten.softmax.int"]
    assert not list(missing(read(softmax, "op(t(B, 4, 5), 1)", "aten.softmax.int")))
