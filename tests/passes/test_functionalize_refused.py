"""In-place operators that have no functional form, or write to what no graph can, are refused in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from scfx.errors import CaptureError
from scfx.passes.functionalize import Functionalize
from scfx.passes.inline_grad_mode import InlineGradMode
from tests.passes.functionalized import Toy, images
from tests.passes.tools import captured


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
