"""Calls bind as the original's do, and what does not fit is said by name."""

from __future__ import annotations

import copy
import pickle
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.utils import _pytree as pytree

from scfx.capture.calling import CallSpec, split_example
from scfx.capture.leaves import names_of, register_dataclasses
from scfx.errors import InputError, UnknownNameError

Pair = namedtuple("Pair", "first second")


@dataclass
class Answer:
    """An output as libraries define them: a field may stay empty."""

    logits: torch.Tensor
    loss: torch.Tensor | None = None


def forward(x: Any, batch: Any, scale: float = 2.0, mask: Any = None, **extra: Any) -> None:
    """Stand in for a model's forward."""


X = torch.zeros(4, 3)
IDS = torch.zeros(4, 5, dtype=torch.int64)


def spec(*args: Any, **kwargs: Any) -> CallSpec:
    return CallSpec.of(forward, args, kwargs)


def with_output(output: Any) -> CallSpec:
    register_dataclasses(output)
    call = spec(X, {"ids": IDS})
    call.out_specs["eval"] = pytree.tree_structure(output)
    call.output_names["eval"] = names_of(call.out_specs["eval"])
    return call


def test_names_are_paths_in_the_order_of_the_signature() -> None:
    call = spec(batch={"ids": IDS, "more": [X]}, x=X)
    assert call.input_names == ("x", "batch['ids']", "batch['more'][0]", "scale", "mask")


def test_positional_and_keyword_arguments_give_the_same_leaves() -> None:
    call = spec(X, {"ids": IDS})
    expected = [X, IDS, 2.0, None]
    calls: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
        ((X, {"ids": IDS}), {}),
        ((X,), {"batch": {"ids": IDS}}),
        ((), {"scale": 2.0, "batch": {"ids": IDS}, "x": X}),
    )
    for args, kwargs in calls:
        assert all(
            one is other or one == other for one, other in zip(call.flatten(args, kwargs), expected, strict=True)
        )


def test_the_order_of_dict_keys_does_not_matter() -> None:
    call = spec(X, {"a": X, "b": IDS}, first=X, second=IDS)
    leaves = call.flatten((X, {"b": IDS, "a": X}), {"second": IDS, "first": X})
    assert leaves[1] is X
    assert leaves[2] is IDS
    assert leaves[-2] is X


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "missing a required argument: 'x'"),
        (
            (X, {"ids": IDS}),
            {"mask": X},
            "mask was absent (None) when the model was captured but is a tensor of shape (4, 3)",
        ),
        (
            (X, {"ids": IDS}),
            {"mask": (X, X)},
            "mask was absent (None) when the model was captured but is given now (mask[0]",
        ),
        (
            (X, {"ids": None}),
            {},
            "batch['ids'] was a tensor of shape (4, 5) when the model was captured but is absent (None)",
        ),
        ((X, {"ids": 3}), {}, "is 3, a int, now"),
        ((X, {}), {}, "batch['ids'] was given when the model was captured but is missing now"),
        ((X, {"ids": IDS, "new": X}), {}, "batch['new'] is given now but was not when the model was captured"),
        ((X, {"ids": IDS}), {"new": X}, "new is given now but was not"),
        ((X, {"ids": IDS}, 3.0), {}, "scale was 2.0 when the model was captured but is 3.0 now"),
        ((X[0], {"ids": IDS}), {}, "x has 1 dimensions, shape (3,); the model was captured with 2, shape (4, 3)"),
        ((X.long(), {"ids": IDS}), {}, "x has dtype torch.int64; the model was captured with torch.float32"),
        ((X, {"ids": IDS[:, :2]}), {}, "batch['ids'] has size 2 in dimension 1, shape (4, 2)"),
    ],
)
def test_a_call_that_does_not_fit_says_which_argument_and_why(args: Any, kwargs: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        spec(X, {"ids": IDS}).flatten(args, kwargs)
    assert words in str(caught.value)


def test_dtypes_of_one_kind_are_left_to_the_operators() -> None:
    spec(X, {"ids": IDS}).flatten((X.double(), {"ids": IDS.int()}), {})


@pytest.mark.parametrize(
    ("output", "names"),
    [
        (X, ("",)),
        ((X, [X, None]), ("[0]", "[1][0]", "[1][1]")),
        ({"logits": X, "more": {"a": X}}, ("['logits']", "['more']['a']")),
        (Pair(X, X), (".first", ".second")),
        (Answer(X), (".logits",)),
        (Answer(X, X), (".logits", ".loss")),
    ],
)
def test_outputs_have_readable_names_and_come_back_as_they_were(output: Any, names: tuple[str, ...]) -> None:
    call = with_output(output)
    assert call.output_names["eval"] == names
    for again in (call, copy.deepcopy(call), pickle.loads(pickle.dumps(call))):
        rebuilt = again.unflatten(pytree.tree_leaves(output), "eval")
        assert type(rebuilt) is type(output)
        assert str(rebuilt) == str(output)
        assert again.flatten((X, {"ids": IDS}), {})[0] is X


def test_outputs_are_found_by_any_spelling_of_their_path() -> None:
    call = with_output({"logits": X, "states": (X, X)})
    assert call.select_outputs("logits", "eval") == call.select_outputs("['logits']", "eval") == [0]
    assert call.select_outputs(".states", "eval") == [1, 2]
    assert call.select_outputs("states[1]", "eval") == [2]
    assert with_output((X, X)).select_outputs(1, "eval") == [1]
    with pytest.raises(
        UnknownNameError, match=r"no output named 'logit' in eval mode; its outputs are: \"\['logits'\]\""
    ):
        call.select_outputs("logit", "eval")


def test_example_inputs_are_a_tensor_a_tuple_or_a_dict() -> None:
    assert split_example(X) == ((X,), {})
    assert split_example((X, IDS)) == ((X, IDS), {})
    assert split_example({"x": X}) == ((), {"x": X})


@pytest.mark.parametrize(
    ("example", "words"), [([X], "plain tuple"), (Pair(X, X), "plain tuple"), ({1: X}, "strings"), (3, "int")]
)
def test_other_example_inputs_are_refused(example: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        split_example(example)
