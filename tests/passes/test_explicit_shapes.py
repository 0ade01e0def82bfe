"""Shape operators name their dimensions and sizes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scfx.passes.explicit_shapes import ExplicitShapes
from tests.passes.tools import captured, check, program


class Shapes(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Any:
        return (
            x.squeeze(),
            x.squeeze(1),
            x.squeeze(2),
            x.squeeze((1, 3)),
            x.mT,
            x[0, 0].t(),
            x[0, 0].T,
            x.adjoint(),
            x.swapaxes(1, 2),
            x.movedim(1, -1),
            x.movedim((0, 1), (2, 3)),
            x.narrow(2, 1, 2),
            x.narrow(2, -3, 2),
            y.view_as(x),
            y.reshape_as(x),
            y.expand_as(x[:, :, :1].expand(-1, 3, 4, 3)),
            y.type_as(x),
            x[:, 0],
            torch.broadcast_to(y, (5, *y.shape)),
        )


def batch(size: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(size)
    return (
        torch.randn(size, 1, 4, 3, dtype=torch.float64, generator=generator),
        torch.randn(size, 1, 4, 3, dtype=torch.float64, generator=generator),
    )


def test_printed_program() -> None:
    toy = check(Shapes(), batch, [ExplicitShapes()], needs_grad=True)
    lines = [line.split(" = ")[1] for line in program(toy.graph)[:-1]]
    assert lines == [
        "sym_size.int(y, 0)",
        "squeeze.dims(x, [1])",
        "squeeze.dim(x, 1)",
        "squeeze.dims(x, [1])",
        "transpose.int(x, -2, -1)",
        "select.int(x, 0, 0)",
        "select.int(select, 0, 0)",
        "transpose.int(select_1, -2, -1)",
        "select.int(x, 0, 0)",
        "select.int(select_2, 0, 0)",
        "permute.default(select_3, [1, 0])",
        "transpose.int(x, -2, -1)",
        "transpose.int(x, 1, 2)",
        "permute.default(x, [0, 2, 3, 1])",
        "permute.default(x, [2, 3, 0, 1])",
        "slice.Tensor(x, 2, 1, 3)",
        "slice.Tensor(x, 2, 1, 3)",
        "sym_size.int(x, 0)",
        "view.default(y, [sym_size_int, 1, 4, 3])",
        "sym_size.int(x, 0)",
        "reshape.default(y, [sym_size_int_4, 1, 4, 3])",
        "slice.Tensor(x, 2, 0, 1)",
        "expand.default(slice_2, [-1, 3, 4, 3])",
        "sym_size.int(expand, 0)",
        "expand.default(y, [sym_size_int_5, 3, 4, 3])",
        "to.dtype(y, torch.float64)",
        "select.int(x, 1, 0)",
        "expand.default(to_dtype, [5, sym_size_int_3, 1, 4, 3])",
    ]


def test_counts_and_stays() -> None:
    toy = captured(Shapes(), *batch(3))
    assert ExplicitShapes()(toy.graph, toy.root) == 19
    assert ExplicitShapes()(toy.graph, toy.root) == 0
