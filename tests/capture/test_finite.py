"""Branches on whether values are finite: taken as if they were, and said so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from scfx.capture.capture import capture
from scfx.capture.program import graph_module
from scfx.errors import CaptureError
from tests.captured import X

QUESTIONS: dict[str, Callable[[Tensor], Any]] = {
    "not all finite": lambda y: not torch.isfinite(y).all(),
    "infinite or not a number": lambda y: torch.isinf(y).any() or torch.isnan(y).any(),
    "together": lambda y: torch.logical_or(y.isinf(), y.isnan()).any().item(),
    "turned round": lambda y: (~y.isfinite()).any(),
}


class Clamping(nn.Module):
    """Clamps what overflows while training, as models for half precision do."""

    def __init__(self, overflows: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.overflows = nn.Linear(3, 3), overflows

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        if self.training and self.overflows(y):
            y = y.clamp(-1e4, 1e4)
        return y


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_graph_takes_the_way_of_finite_values(name: str) -> None:
    model = Clamping(QUESTIONS[name])
    with pytest.warns(UserWarning, match=r"asks whether values are finite at .*test_finite\.py:\d+ in .*they are"):
        program = capture(model, X, dynamic=False)
    for mode in ("train", "eval"):
        assert not [node for node in program.graphs[mode].nodes if "clamp" in str(node.target)]
    assert torch.equal(graph_module(program, "eval")(X)[0], model.eval()(X))


@pytest.mark.parametrize(
    "question",
    [
        lambda y: y.isfinite().any(),  # of no value at all it is false
        lambda y: torch.logical_or(y.isnan(), y > 3).any(),
        lambda y: y.isnan().sum() > 0,
    ],
)
def test_other_questions_about_values_are_left_to_the_caller(question: Callable[[Tensor], Any]) -> None:
    with pytest.raises(CaptureError, match="depends on the numbers in a tensor and not on shapes alone"):
        capture(Clamping(question), X, dynamic=False)


class Watching(TorchFunctionMode):
    """Sees each call of torch and changes nothing, as tools for profiling do."""

    def __torch_function__(self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def test_an_error_names_the_model_and_not_who_watches_it() -> None:
    with Watching(), pytest.raises(CaptureError) as caught:
        capture(Clamping(lambda y: y.sum() > 0), X, dynamic=False)
    assert "in forward: if self.training and self.overflows(y):" in str(caught.value)
    assert "__torch_function__" not in str(caught.value)
