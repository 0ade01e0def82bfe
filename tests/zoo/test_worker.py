"""What is found out about one model, and that each way of going wrong is named."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from scfx.signatures import override
from tests.planted import PLANTED
from tests.zoo.inputs import floats
from tests.zoo.model import ZooModel
from tests.zoo.result import Result, path_of, remembered
from tests.zoo.sweep import run
from tests.zoo.worker import examine


class Small(nn.Module):
    """Two layers, and something in between."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 16)
        self.last = nn.Linear(16, 2)

    def middle(self, x: Tensor) -> Tensor:
        return torch.relu(x)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.middle(self.first(x)))
        return y


class Random(Small):
    def middle(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x) if self.training else x


class Branching(Small):
    def middle(self, x: Tensor) -> Tensor:
        return torch.relu(x) if x.sum() > 0 else torch.tanh(x)


class Sorting(Small):
    def middle(self, x: Tensor) -> Tensor:
        return torch.sort(x, 1).values


class Relative(Small):
    def middle(self, x: Tensor) -> Tensor:
        return torch.softmax(x, 1)


def examined(kind: type[nn.Module]) -> Result:
    result = Result("own/small")
    examine(ZooModel("own/small", kind, floats((4,))), result, lambda _: None)
    return result


def test_an_exact_model() -> None:
    result = examined(Small)
    assert result.exact, result.failure
    assert result.parameters == 4 * 16 + 16 + 16 * 2 + 2
    assert set(result.errors) == {"eval", "train", "gradients", "second"}
    assert max(result.errors.values()) < 1e-10
    assert result.left is not None
    assert result.left < 1
    # Of the dims of each parameter, 16 are prunable and the 4 of the input and the 2 of the output are not.
    entries = {"first": 64, "bias": 16, "last": 32, "logits": 2}
    prunable = entries["first"] + entries["bias"] + entries["last"]
    assert result.share == pytest.approx(prunable / (2 * 64 + 16 + 2 * 32 + 2))
    assert 1 - sum(loss.share for loss in result.losses) == pytest.approx(result.share)
    assert {loss.reason for loss in result.losses} == {"model input x", "model output"}


def test_randomness_is_named() -> None:
    result = examined(Random)
    assert not result.captured
    assert "random numbers in train mode" in result.failure


def test_a_failed_capture_is_named() -> None:
    result = examined(Branching)
    assert (result.stage, result.captured) == ("capture", False)
    assert "CaptureError" in result.failure


def test_an_operator_that_mixes_channels_is_a_reason() -> None:
    result = examined(Sorting)
    assert result.exact, result.failure
    assert result.losses[0].reason == "order along it"
    assert result.share is not None
    assert result.share < 0.1


def test_a_wrong_removal_is_named() -> None:
    planted = next(planted for planted in PLANTED if planted.name == "softmax is pointwise")
    with override(planted.target, planted.record):
        result = examined(Relative)
    assert (result.captured, result.exact, result.stage) == (True, False, "exactness")
    assert "differs from the reference" in result.failure


def test_results_are_remembered(tmp_path: Path) -> None:
    result = examined(Sorting)
    result.save(path_of(result.name, tmp_path))
    assert remembered(tmp_path) == {"own/small": result}


def test_a_process_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    result = run("own/resnet20_option_a", tmp_path, timeout=0.05, gigabytes=8)
    assert "took more than" in result.failure
    assert remembered(tmp_path)[result.name] == result
