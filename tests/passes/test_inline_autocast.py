"""Regions that switch autocast are inlined, and what autocast may change in them keeps its setting."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from scfx.passes.inline_autocast import ExplicitAutocast, InlineAutocast
from scfx.passes.inline_grad_mode import InlineGradMode
from tests.passes.tools import captured, check


class Rotary(nn.Module):
    """Angles as rotary embeddings compute them: an outer product in full precision."""

    frequency: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequency", torch.linspace(0.1, 1, 4, dtype=torch.float64), persistent=False)

    def forward(self, positions: Tensor) -> Any:
        with torch.autocast("cpu", enabled=False):
            columns = self.frequency[None, :, None].expand(positions.shape[0], -1, 1)
            angles = (columns @ positions[:, None, :].to(torch.float64)).transpose(1, 2)
            return angles.cos()


class Head(nn.Module):
    def __init__(self, enabled: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.enabled = enabled

    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.enabled):
            return self.linear(x) + 1


def operators_of(graph: fx.Graph) -> list[str]:
    return [str(node.target) for node in graph.nodes if node.op == "call_function"]


def test_rotary_angles() -> None:
    passes = [InlineAutocast(), ExplicitAutocast()]
    toy = check(Rotary(), lambda size: (torch.arange(size * 3.0).view(size, 3),), passes)
    assert operators_of(toy.graph)[-3:] == ["scfx.uncast_matmul.default", "aten.transpose.int", "aten.cos.default"]


@pytest.mark.parametrize("enabled", [True, False])
def test_operators_keep_the_setting_of_their_region(enabled: bool) -> None:
    x, model = torch.randn(3, 4), Head(enabled)
    toy = captured(model, x)
    assert InlineAutocast()(toy.graph, toy.root) == 1
    assert ExplicitAutocast()(toy.graph, toy.root) == 1
    assert operators_of(toy.graph) == [
        f"scfx.{'cast_bfloat16' if enabled else 'uncast'}_linear.default",
        "aten.add.Tensor",
    ]
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        with torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
            (found,) = toy.call(x)
            wanted = model(x)
        assert found.dtype == (torch.bfloat16 if enabled else torch.float32)
        assert torch.equal(found, wanted)


def test_the_innermost_region_counts() -> None:
    class Nested(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad(), torch.autocast("cpu", enabled=False):
                y = x @ x
                with torch.autocast("cpu", torch.float16):
                    y = y @ y
                return torch.einsum("ij,jk->ik", y.float(), x)

    toy = captured(Nested(), torch.randn(3, 3))
    for step in (InlineGradMode(), InlineAutocast(), ExplicitAutocast()):
        step(toy.graph, toy.root)
    kinds = [name.removeprefix("scfx.").split(".")[0] for name in operators_of(toy.graph) if name.startswith("scfx")]
    assert kinds == ["uncast_matmul", "cast_float16_matmul", "uncast_einsum"]
    x = torch.randn(3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(toy.call(x)[0], Nested()(x))


def test_a_region_for_another_device_sets_nothing() -> None:
    class Elsewhere(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("xpu", enabled=False):
                return x @ x

    toy = captured(Elsewhere(), torch.randn(3, 3))
    assert InlineAutocast()(toy.graph, toy.root) == 1
    assert ExplicitAutocast()(toy.graph, toy.root) == 0
