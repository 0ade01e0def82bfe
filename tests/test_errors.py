"""What cannot be captured is refused with a message that says what, where, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from scfx.capture.capture import capture
from scfx.errors import CaptureError, InputError, ModelError, ScfxError, UnknownNameError
from tests.captured import TwoOutputs, X


class DataBranch(nn.Module):
    """A branch on a value, which no graph can hold, between two parts that a graph can."""

    def __init__(self) -> None:
        super().__init__()
        self.small = nn.Sequential(nn.Linear(3, 5), nn.ReLU())
        self.large = nn.Sequential(nn.Linear(5, 50), nn.ReLU(), nn.Linear(50, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.small(x)
        if y.sum() > 0:
            y = y * 2
        result: torch.Tensor = self.large(y)
        return result


def broken(value: float) -> nn.Module:
    model = TwoOutputs()
    with torch.no_grad():
        model.layer.bias[:3] = value
    return model


class Reserved(nn.Module):
    """A submodule under a name that graph modules keep for themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = nn.Linear(3, 4)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda x: x, "has to be a torch.nn.Module, not a function"),
        (nn.Linear, "not the class Linear; create an instance"),
        (nn.ReLU(), "a ReLU has no parameters"),
        (broken(float("nan")), "parameter 'layer.bias' holds NaN or infinite values, 3 of 4"),
        (broken(float("inf")), "parameter 'layer.bias' holds NaN or infinite values, 3 of 4"),
        (nn.LazyLinear(3), "parameter 'weight' has no shape yet"),
        (Reserved(), "named 'graph'"),
    ],
)
def test_models_that_cannot_be_worked_with(model: Any, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        capture(model, X)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("example", "words"),
    [
        ([X], "plain tuple"),
        ((X, X, X), "too many positional arguments"),
        ({"y": X}, "missing a required argument: 'x'"),
        ((3,), "holds no tensor"),
        (X[:0], "x is empty, shape (0, 3)"),
        (X.to("meta"), "x is on meta but the model is on cpu"),
        (X.numpy(), "ndarray"),
        ((X.numpy(),), "holds no tensor"),
        (torch.ones(4, 5), "the model itself fails on the example inputs at "),
    ],
)
def test_example_inputs_that_do_not_fit(example: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        capture(TwoOutputs(), example)
    assert words in str(caught.value)


def test_a_model_that_cannot_be_traced_names_its_line_and_what_can_be_captured() -> None:
    with pytest.raises(CaptureError) as caught:
        capture(DataBranch(), X)
    text = str(caught.value)
    assert "test_errors.py:" in text.splitlines()[0]
    assert text.splitlines()[0].endswith("if y.sum() > 0:.")
    assert text.index("scfx.compress(model.large, ...)  # 555 parameters") < text.index("model.small")
    assert len(text) < 1500


def test_a_model_that_needs_more_in_training_says_that_it_is_training() -> None:
    class Targets(TwoOutputs):
        def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> Any:
            if self.training and y is None:
                raise ValueError("no targets")
            return super().forward(x)

    with pytest.raises(InputError, match=r"no targets\nThis happens in train mode only: give what .* such as targets"):
        capture(Targets(), X)


def test_nothing_is_written_when_capture_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CaptureError):
        capture(DataBranch(), X)
    assert "".join(capfd.readouterr()) == ""


def test_a_model_is_as_it_was_after_a_failure() -> None:
    model = DataBranch().train()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    numbers = torch.get_rng_state()
    with pytest.raises(CaptureError):
        capture(model, X)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), numbers)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_model_that_needs_a_batch_in_train_mode_takes_an_example_of_one() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    assert capture(model, X[:1]).call.inputs[0].shape == (None, 3)


def test_every_error_is_of_the_librarys_own_and_of_a_built_in_kind() -> None:
    assert issubclass(InputError, (ScfxError, ValueError))
    assert issubclass(CaptureError, RuntimeError)
    assert str(UnknownNameError("no parameter 'a'\nhere")) == "no parameter 'a'\nhere"
    assert issubclass(ModelError, ValueError)
