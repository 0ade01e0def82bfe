"""In-place operators become functional: writes to buffers and inputs, and writes that autograd does not see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.passes.functionalized import rewritten
from tests.passes.tools import program


def test_single_update_of_a_buffer_stays() -> None:
    def function(self: Any, x: Tensor) -> Any:
        self.steps.add_(1)
        return x * self.w

    assert "add_ = add_.Tensor(steps, 1)" in program(rewritten(function).graph)


def test_chain_on_a_buffer_stores_once_at_the_end() -> None:
    def function(self: Any, x: Tensor) -> Any:
        self.b.mul_(0.9).add_(x.detach().mean((0, 1)), alpha=0.1)
        self.steps += 1
        return x * self.w * self.b

    lines = program(rewritten(function).graph)
    assert lines == [
        "mul_tensor = mul.Tensor(b, 0.9)",
        "detach = detach.default(x)",
        "mean = mean.dim(detach, [0, 1])",
        "add_tensor = add.Tensor(mul_tensor, mean, alpha=0.1)",
        "add_tensor_1 = add.Tensor(steps, 1)",
        "mul = mul.Tensor(x, w)",
        "mul_1 = mul.Tensor(mul, add_tensor)",
        "copy__default_1 = copy_.default(b, add_tensor)",
        "copy__default_2 = copy_.default(steps, add_tensor_1)",
        "return [mul_1]",
    ]


BUFFERS: dict[str, Callable[[Any, Tensor], Any]] = {
    "copy": lambda self, x: (self.b.copy_(x.detach()[0, 0]), x * self.w)[1],
    "read before": lambda self, x: ((x * self.b * self.w).sum(), self.b.add_(1))[0].unsqueeze(0),
    "clone before": lambda self, x: (self.b.clone(), self.b.add_(1), x * self.w * self.b)[::2],
    "part": lambda self, x: (self.b[1:3].fill_(2), self.b.view(2, 2).mul_(2), x * self.w * self.b)[2],
    "copied elsewhere": lambda self, x: ((x.detach() * 0).copy_(self.b) * self.w, self.b.add_(1))[0],
    "returned": lambda self, x: (self.b.add_(1) * 1, x * self.w),
    "with gradient": lambda self, x: (self.b.mul_(self.w), (x * self.b).sum(0))[1],
    "twice": lambda self, x: (self.steps.add_(1), self.steps.mul_(2), x * self.w * self.steps)[2],
}


@pytest.mark.parametrize("function", BUFFERS.values(), ids=BUFFERS.keys())
def test_buffers(function: Callable[[Any, Tensor], Any]) -> None:
    rewritten(function, needs_grad=False)


def test_input_that_is_written_to() -> None:
    """The caller sees the write, as with the original."""
    lines = program(rewritten(lambda self, x: x.mul_(self.w).relu_() * x, needs_grad=False).graph)
    assert "copy__default = copy_.default(x, relu_default)" in lines


def test_without_grad_values_change_and_history_stays() -> None:
    def function(self: Any, x: Tensor) -> Any:
        y = x * self.w
        z = y[:, 1:]
        with torch.no_grad():
            y.mul_(2)
            y[:, 0].add_(x[:, 1])
            z.clamp_(-1, 1)
        return y * self.w, z * 2

    rewritten(function)


def test_without_grad_inside_and_buffers() -> None:
    def function(self: Any, x: Tensor) -> Any:
        with torch.no_grad():
            y = x * self.w
            y.relu_()
            y[:, 1] = 0
            self.b.mul_(0.9).add_(y.mean((0, 1)))
            self.steps.copy_(y.sum())
        return y * self.w, x * self.b

    result = rewritten(function)
    stored = [line for line in program(result.graph) if "copy_" in line]
    assert stored == ["copy_ = copy_.default(steps, detach_default)", "copy__default = copy_.default(b, add_tensor)"]


def test_write_through_detach() -> None:
    def function(self: Any, x: Tensor) -> Any:
        y = x * self.w
        d = y.detach()
        d.mul_(3)
        fresh = (x * self.w).detach_()
        fresh.add_(1)
        return y * self.w, d * self.w, fresh * self.w

    rewritten(function)


def test_autograd_sees_history_through_no_grad_round() -> None:
    """A straight-through rounding written with `.data`-like tricks keeps its gradient."""

    def function(self: Any, x: Tensor) -> Any:
        y = x * self.w
        with torch.no_grad():
            y.round_()
        return y

    result = rewritten(function)
    assert [line.split(" = ")[1] for line in program(result.graph)[:-1]] == [
        "mul.Tensor(x, w)",
        "round.default(mul)",
        "detach.default(round_default)",
        "detach.default(mul)",
        "sub.Tensor(mul, detach_default_1)",
        "add.Tensor(detach_default, sub_tensor)",
    ]
