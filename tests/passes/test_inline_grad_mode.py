"""Regions without grad are inlined, and what leaves them is detached."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scfx.passes.functionalize import Functionalize
from scfx.passes.inline_grad_mode import InlineGradMode
from tests.passes.tools import captured, check, program


class Frozen(nn.Module):
    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4, dtype=torch.float64)
        self.second = nn.Linear(4, 4, dtype=torch.float64)
        self.register_buffer("table", torch.ones(4, dtype=torch.float64))

    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            y = self.first(x)
            z = y * 2
            t = self.table * 3
        return self.second(y) + z, x * t


class Nested(Frozen):
    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            y = self.first(x)
            with torch.enable_grad():
                z = self.second(y)
                with torch.no_grad():
                    u = self.second(z) * 2
            y = y + z
            v = x.view(-1, 2, 2)
        return y * z, z, u + x, v


def batch(size: int) -> tuple[Tensor, ...]:
    return (torch.linspace(-1, 1, size * 4, dtype=torch.float64).view(size, 4),)


def test_printed_program() -> None:
    toy = captured(Frozen(), *batch(3))
    assert InlineGradMode()(toy.graph, toy.root) == 1
    assert program(toy.graph) == [
        "linear_2 = linear.default(x, first.weight, first.bias)",
        "detach_default = detach.default(linear_2)",
        "mul_3 = mul.Tensor(linear_2, 2)",
        "detach_default_1 = detach.default(mul_3)",
        "mul_4 = mul.Tensor(table, 3)",
        "linear_1 = linear.default(detach_default, second.weight, second.bias)",
        "add = add.Tensor(linear_1, detach_default_1)",
        "mul_2 = mul.Tensor(x, mul_4)",
        "return [add, mul_2]",
    ]
    assert not [name for name, _ in toy.root.named_children() if "submod" in name]


def test_gradients() -> None:
    check(Frozen(), batch, [InlineGradMode()], needs_grad=True)
    check(Nested(), batch, [InlineGradMode()], needs_grad=True)
    check(Nested(), batch, [InlineGradMode(), Functionalize()], needs_grad=False)


def test_copied_nodes_say_where_they_come_from() -> None:
    toy = captured(Frozen(), *batch(3))
    InlineGradMode()(toy.graph, toy.root)
    (linear, *_) = toy.graph.find_nodes(op="call_function", target=torch.ops.aten.linear.default)
    assert [path for path, _ in linear.meta["nn_module_stack"].values()] == ["", "first"]
    (detach, *_) = toy.graph.find_nodes(op="call_function", target=torch.ops.aten.detach.default)
    assert detach.meta["nn_module_stack"] == linear.meta["nn_module_stack"]
