"""In-place operators become functional: every view of what they write to, and every kind of write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from scfx.passes.functionalize import Functionalize
from tests.passes.functionalized import Toy, images, rewritten
from tests.passes.tools import captured, program


def test_printed_program() -> None:
    def function(self: Any, x: Tensor) -> Any:
        y = x * self.w
        z = y[:, 1]
        y[:, 2:] += 1
        z.relu_()
        return y

    before = captured(Toy(function), *images(3))
    assert program(before.graph) == [
        "mul = mul.Tensor(x, w)",
        "slice_1 = slice.Tensor(mul, 0, 0, 9223372036854775807)",
        "select = select.int(slice_1, 1, 1)",
        "slice_2 = slice.Tensor(mul, 0, 0, 9223372036854775807)",
        "slice_3 = slice.Tensor(slice_2, 1, 2, 9223372036854775807)",
        "add_ = add_.Tensor(slice_3, 1)",
        "slice_4 = slice.Tensor(mul, 0, 0, 9223372036854775807)",
        "slice_5 = slice.Tensor(slice_4, 1, 2, 9223372036854775807)",
        "copy_ = copy_.default(slice_5, add_)",
        "relu_ = relu_.default(select)",
        "return [mul]",
    ]
    assert program(rewritten(function).graph) == [
        "mul = mul.Tensor(x, w)",
        "slice_3 = slice.Tensor(mul, 1, 2, 9223372036854775807)",
        "add_tensor = add.Tensor(slice_3, 1)",
        "slice_scatter_default = slice_scatter.default(mul, add_tensor, 1, 2, 9223372036854775807, 1)",
        "select_int = select.int(slice_scatter_default, 1, 1)",
        "relu_default = relu.default(select_int)",
        "select_scatter_default = select_scatter.default(slice_scatter_default, relu_default, 1, 1)",
        "return [select_scatter_default]",
    ]


def test_counts_every_writer() -> None:
    result = captured(Toy(lambda self, x: (x * self.w).relu_().add_(1).mul_(self.w)), *images(3))
    assert Functionalize()(result.graph, result.root) == 3
    assert program(result.graph) == [
        "mul = mul.Tensor(x, w)",
        "relu_default = relu.default(mul)",
        "add_tensor = add.Tensor(relu_default, 1)",
        "mul_tensor = mul.Tensor(add_tensor, w)",
        "return [mul_tensor]",
    ]


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "slice": lambda y: y[:, 1:3],
    "strided slice": lambda y: y[:, ::2],
    "select": lambda y: y[:, 0],
    "last": lambda y: y[..., -1],
    "batch": lambda y: y[0],
    "view": lambda y: y.view(-1, 16),
    "view of the batch": lambda y: y.view(-1, 2, 2, 4),
    "reshape": lambda y: y.reshape(y.size(0), 2, 8),
    "flatten": lambda y: y.flatten(1),
    "unflatten": lambda y: y.unflatten(1, (2, 2)),
    "permute": lambda y: y.permute(2, 0, 1),
    "transpose": lambda y: y.transpose(1, 2),
    "mT": lambda y: y.mT,
    "T": lambda y: y[0].T,
    "unsqueeze": lambda y: y.unsqueeze(1),
    "squeeze": lambda y: y[:, :1].squeeze(),
    "squeeze dim": lambda y: y[:, :1].squeeze(1),
    "diagonal": lambda y: y.diagonal(dim1=1, dim2=2),
    "narrow": lambda y: y.narrow(1, 1, 2),
    "expand": lambda y: y.expand(-1, 4, 4),
    "movedim": lambda y: y.movedim(0, 2),
    "swapaxes": lambda y: y.swapaxes(0, 1),
    "alias": torch.ops.aten.alias.default,
    "contiguous": lambda y: y.contiguous(),
    "to": lambda y: y.to(torch.float64),
    "chain": lambda y: y.transpose(1, 2)[:, 1:3].unsqueeze(0).flatten(2),
    "complex": lambda y: torch.view_as_complex(y.view(-1, 4, 2, 2)),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_write_to_a_view_reaches_base_and_other_views(view: Callable[[Tensor], Tensor]) -> None:
    def function(self: Any, x: Tensor) -> Any:
        y = (x * self.w).contiguous()
        other = y[:, :3]
        mine = view(y)
        flat = mine * 2
        mine.mul_(3)
        shared = view(y) + mine
        other.add_(1)
        return torch.view_as_real(flat) if flat.is_complex() else flat, y, other, torch.abs(shared), torch.abs(mine)

    rewritten(function)


MULTIPLE: dict[str, Callable[[Tensor], Any]] = {
    "split": lambda y: y.split([1, 3], 1),
    "chunk": lambda y: y.chunk(2, 2),
    "tensor_split": lambda y: y.tensor_split(3, 1),
    "unbind": lambda y: y.unbind(1),
    "unsafe_chunk": lambda y: torch.unsafe_chunk(y, 2, 1),
}


@pytest.mark.parametrize("split", MULTIPLE.values(), ids=MULTIPLE.keys())
def test_write_to_a_part_of_a_split(split: Callable[[Tensor], Any]) -> None:
    """Autograd forbids this for what requires grad; for buffers and fresh tensors it works."""

    def function(self: Any, x: Tensor) -> Any:
        y = x.detach() + 1
        parts = split(y)
        parts[1].mul_(3)
        y.add_(1)
        return y * self.w, parts[0] * 1, parts[1] * 2

    rewritten(function, needs_grad=False)


WRITES: dict[str, Callable[[Any, Tensor, Tensor], object]] = {
    "add": lambda self, y, x: y.add_(x, alpha=2),
    "sub": lambda self, y, x: y.sub_(self.w),
    "mul": lambda self, y, x: y.mul_(self.w),
    "div": lambda self, y, x: y.div_(3),
    "pow": lambda self, y, x: y.pow_(2),
    "relu": lambda self, y, x: y.relu_(),
    "hardtanh": lambda self, y, x: torch.nn.functional.hardtanh_(y, -0.5, 0.5),
    "relu6": lambda self, y, x: torch.nn.functional.relu6(y, inplace=True),
    "silu": lambda self, y, x: torch.nn.functional.silu(y, inplace=True),
    "hardswish": lambda self, y, x: torch.nn.functional.hardswish(y, inplace=True),
    "hardsigmoid": lambda self, y, x: torch.nn.functional.hardsigmoid(y, inplace=True),
    "mish": lambda self, y, x: torch.nn.functional.mish(y, inplace=True),
    "elu": lambda self, y, x: torch.nn.functional.elu_(y, 0.7),
    "celu": lambda self, y, x: torch.nn.functional.celu_(y, 0.7),
    "selu": lambda self, y, x: torch.nn.functional.selu_(y),
    "leaky relu": lambda self, y, x: torch.nn.functional.leaky_relu_(y, 0.2),
    "threshold": lambda self, y, x: torch.nn.functional.threshold(y, 0.1, 2.0, inplace=True),
    "sigmoid": lambda self, y, x: y.sigmoid_(),
    "tanh": lambda self, y, x: y.tanh_(),
    "clamp": lambda self, y, x: y.clamp_(-0.3, 0.4),
    "clamp min": lambda self, y, x: y.clamp_min_(0.1),
    "exp": lambda self, y, x: y.exp_(),
    "lerp": lambda self, y, x: y.lerp_(x, 0.3),
    "addcmul": lambda self, y, x: y.addcmul_(x, x, value=0.5),
    "zero": lambda self, y, x: y[:, 0].zero_(),
    "fill": lambda self, y, x: y[:, 0].fill_(2),
    "fill with tensor": lambda self, y, x: y[0, 0].fill_(self.w.sum()),
    "assign number": lambda self, y, x: y.__setitem__((slice(None), 1), 5.0),
    "copy": lambda self, y, x: y.copy_(x),
    "copy broadcast": lambda self, y, x: y.copy_(self.w),
    "copy cast": lambda self, y, x: y.copy_(x.float()),
    "masked_fill": lambda self, y, x: y.masked_fill_(x > 0, 3.0),
    "masked assignment": lambda self, y, x: y.__setitem__(x > 0, 3.0),
    "index assignment": lambda self, y, x: y.__setitem__((slice(None), [0, 2]), x[:, :2]),
    "index_add": lambda self, y, x: y.index_add_(1, torch.tensor([0, 2]), x[:, :2]),
    "index_copy": lambda self, y, x: y.index_copy_(1, torch.tensor([0, 2]), x[:, :2]),
    "index_fill": lambda self, y, x: y.index_fill_(1, torch.tensor([0, 2]), 2.0),
    "scatter": lambda self, y, x: y.scatter_(1, x.argsort(1), x),
    "scatter_add": lambda self, y, x: y.scatter_add_(1, x.argsort(1), x),
    "dropout": lambda self, y, x: torch.nn.functional.dropout(y, 0.5, True, inplace=True),
    "triu": lambda self, y, x: y.triu_(),
    "unsqueeze": lambda self, y, x: y.unsqueeze_(0).mul_(2),
    "transpose": lambda self, y, x: y.transpose_(1, 2).mul_(self.w),
    "out": lambda self, y, x: torch.add(x, 1, out=y.detach()) if not y.requires_grad else y.add_(1),
    "itself": lambda self, y, x: y.add_(y),
    "own view": lambda self, y, x: y.add_(y[:, :1] * 2),
    "swap": lambda self, y, x: y.__setitem__(slice(None), y.flip(1)),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_writes(write: Callable[[Any, Tensor, Tensor], object]) -> None:
    def function(self: Any, x: Tensor) -> Any:
        y = x * self.w
        y = y * y
        result = write(self, y, x)
        return y + 0, y * 2 if result is None else result * 2  # type: ignore[operator]

    rewritten(function)


RANDOM: dict[str, Callable[[Tensor], Tensor]] = {
    "bernoulli": lambda y: y.bernoulli_(0.4),
    "bernoulli tensor": lambda y: y.bernoulli_(torch.full((4,), 0.3, dtype=torch.float64)),
    "normal": lambda y: y.normal_(1.0, 2.0),
    "uniform": lambda y: y.uniform_(-1, 1),
    "exponential": lambda y: y.exponential_(),
}


@pytest.mark.parametrize("draw", RANDOM.values(), ids=RANDOM.keys())
def test_random_fills_draw_the_same_numbers(draw: Callable[[Tensor], Tensor]) -> None:
    rewritten(lambda self, x: x * self.w * draw(x.new_empty((x.size(0), 1, 4))).div_(0.7) + torch.rand_like(x))


def test_out_argument() -> None:
    def function(self: Any, x: Tensor) -> Any:
        y = torch.zeros(4, 4, dtype=torch.float64)
        torch.matmul(x[0], x[1], out=y)
        return y + self.w

    rewritten(function, needs_grad=False)


def test_old_value_of_one_may_be_present_value_of_another() -> None:
    def function(self: Any, x: Tensor) -> Any:
        a, b = x * self.w, x + self.w
        a.copy_(b)
        b.add_(1)
        return a - 2 * b, torch.stack([a, b])

    rewritten(function)
