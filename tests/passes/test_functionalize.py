"""In-place operators become functional: views, buffers, gradients, and what cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scfx.errors import CaptureError
from scfx.passes.effects import written
from scfx.passes.eliminate_dead_code import EliminateDeadCode
from scfx.passes.explicit_shapes import ExplicitShapes
from scfx.passes.explicit_splits import ExplicitSplits
from scfx.passes.functionalize import Functionalize
from scfx.passes.inline_grad_mode import InlineGradMode
from scfx.passes.views_in_place import ViewsInPlace
from tests.passes.tools import Captured, captured, check, program

PASSES = (InlineGradMode(), ViewsInPlace(), ExplicitSplits(), ExplicitShapes(), Functionalize(), EliminateDeadCode())


class Toy(nn.Module):
    """A model around one function of its weight `w` (4) and its input."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1.0, 2.0, 4, dtype=torch.float64))
        self.register_buffer("b", torch.linspace(1.0, 2.0, 4, dtype=torch.float64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def images(batch: int) -> tuple[Tensor, ...]:
    """A batch of (4, 4) matrices."""
    return (torch.randn(batch, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(batch)),)


def rewritten(function: Callable[..., Any], needs_grad: bool = True) -> Captured:
    result = check(Toy(function), images, PASSES, needs_grad=needs_grad)
    for node in result.graph.nodes:
        assert all(target.op in ("get_attr", "placeholder") for target in written(node)), node
    return result


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


def test_write_to_a_parameter_is_refused() -> None:
    def function(self: Any, x: Tensor) -> Any:
        with torch.no_grad():
            self.w.clamp_(0, 1)
        return x * self.w

    result = captured(Toy(function), *images(3))
    InlineGradMode()(result.graph, result.root)
    with pytest.raises(
        CaptureError, match=r"writes to its parameter 'w' in forward, with aten.clamp_.default \(node .*line"
    ):
        Functionalize()(result.graph, result.root)


def test_write_without_functional_form_is_refused() -> None:
    def function(self: Any, x: Tensor) -> Any:
        y = torch.zeros(4, 4)
        y.resize_(2, 4)
        return x * y[0]

    result = captured(Toy(function), torch.randn(3, 4, 4, dtype=torch.float64))
    with pytest.raises(CaptureError, match=r"in-place operator aten.resize_.default \(node 'resize_', at: .*line"):
        Functionalize()(result.graph, result.root)


REFUSED: dict[str, Callable[[Tensor], Tensor]] = {
    "layout": lambda y: y.as_strided((2, 2), (5, 1)),
    "overlapping": lambda y: y.unfold(1, 2, 1),
}


@pytest.mark.parametrize("view", REFUSED.values(), ids=REFUSED.keys())
def test_write_beside_a_view_without_inverse_is_refused(view: Callable[[Tensor], Tensor]) -> None:
    def function(self: Any, x: Tensor) -> Any:
        y = torch.zeros(4, 4, dtype=torch.float64)
        view(y).add_(1)
        return x * self.w + y

    result = captured(Toy(function), *images(3))
    with pytest.raises(CaptureError, match=r"Use the operator that returns a new tensor"):
        Functionalize()(result.graph, result.root)


def test_write_out_of_an_autocast_region_is_refused() -> None:
    def function(self: Any, x: Tensor) -> Any:
        y = x * self.w
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y.add_(1)
        return y

    result = captured(Toy(function), *images(3))
    with pytest.raises(CaptureError, match="holds an in-place operator that changes 'mul'"):
        Functionalize()(result.graph, result.root)
