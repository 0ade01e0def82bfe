"""The whole of normalization: its list, its dialect, and whole models that compute the same afterwards."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload

from scfx.passes.effects import written
from scfx.passes.normalize import NORMALIZE, normalize
from tests.passes.tools import Captured, captured, check, program

zoo = pytest.importorskip("torchvision.models")


def images(size: int) -> Callable[[int], tuple[Tensor, ...]]:
    """Return a function that makes a batch of square images."""

    def make(batch: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(batch)
        return (torch.randn(batch, 3, size, size, dtype=torch.float64, generator=generator),)

    return make


def require_dialect(result: Captured) -> None:
    """Require that only functional ATen operators, arithmetic on sizes, and writes to buffers are left."""
    for node in result.graph.nodes:
        assert node.op in ("placeholder", "get_attr", "call_function", "output"), node
        if node.op == "call_function" and not isinstance(node.target, OpOverload):
            assert node.target is operator.getitem or isinstance(node.meta["val"], (torch.SymInt, int)), node
        assert all(target.op in ("get_attr", "placeholder") for target in written(node)), node
        assert node.users or written(node) or node.op in ("placeholder", "output") or "batch_norm" in node.name, node


ZOO: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet": (lambda: zoo.ResNet(zoo.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5, width_per_group=64), 33),
    "densenet": (lambda: zoo.DenseNet(4, (2, 2), 8, num_classes=5), 33),
    "mobilenet": (lambda: zoo.MobileNetV2(5, inverted_residual_setting=[[1, 8, 1, 1], [6, 16, 2, 2]]), 33),
    "shufflenet": (lambda: zoo.ShuffleNetV2([2, 1, 1], [8, 16, 32, 64, 32], 5), 33),
    "squeezenet": (lambda: zoo.SqueezeNet("1_1", 5), 33),
    "swin": (lambda: zoo.SwinTransformer([4, 4], 12, [2, 2], [2, 4], [4, 4], num_classes=5), 32),
    "vit": (lambda: zoo.VisionTransformer(32, 16, 2, 2, 16, 32, num_classes=5), 32),
}


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("build", "size"), ZOO.values(), ids=ZOO.keys())
def test_models(build: Callable[[], nn.Module], size: int, train: bool) -> None:
    torch.manual_seed(0)
    require_dialect(check(build().double(), images(size), NORMALIZE, train=train))


class Tricks(nn.Module):
    """Writes into slices, a running average kept by hand, tables, splits, and a frozen branch."""

    average: Tensor
    order: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.mix = nn.Linear(8, 8)
        self.register_buffer("average", torch.zeros(8))
        self.register_buffer("order", torch.arange(7, -1, -1))
        self.drop = nn.Dropout(0.3, inplace=True)

    def forward(self, x: Tensor) -> Any:
        y = self.norm(self.conv(x)).sigmoid().clone()
        if self.training:
            with torch.no_grad():
                self.average.mul_(0.9).add_(y.mean((0, 2, 3)), alpha=0.1)
        y[:, ::2] *= self.average[::2].view(1, -1, 1, 1)
        left, right = y.chunk(2, 1)
        z = torch.cat([right, left], 1)
        z[:, :, 0] = 0
        z = z.flatten(2).mT
        z = z + torch.arange(z.shape[1]).unsqueeze(1) / z.shape[1]
        z = self.drop(self.mix(z)[..., self.order])
        out = torch.empty_like(z)
        out[..., :4], out[..., 4:] = z[..., 4:], z[..., :4]
        keep = x.new_empty((x.shape[0], 1, 1)).bernoulli_(0.8).div_(0.8)
        out.mul_(keep)
        with torch.no_grad():
            frozen = self.conv(x).mean((2, 3)).clamp_(min=0)
        return {"out": out, "frozen": frozen + out.mean(1).squeeze(), "average": self.average * 1}


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
def test_tricks(train: bool) -> None:
    result = check(Tricks().double(), images(6), NORMALIZE, train=train)
    require_dialect(result)
    assert ("copy_" in "".join(program(result.graph))) == train


def test_counts() -> None:
    result = captured(Tricks().double(), *images(6)(3))
    counts = normalize(result.graph, result.root)
    assert list(counts) == list(dict.fromkeys(step.name for step in NORMALIZE))
    assert counts["InlineGradMode"] == 2
    assert counts["Functionalize"] > 10
    assert set(normalize(result.graph, result.root).values()) == {0}


def test_result_is_a_plain_graph() -> None:
    """The rewritten graph compiles to Python code that computes the same."""
    result = captured(Tricks().double(), *images(6)(3), train=False)
    normalize(result.graph, result.root)
    module = fx.GraphModule(result.root, result.graph)
    torch.manual_seed(0)
    theirs = result.call(*images(6)(5))
    torch.manual_seed(0)
    for left, right in zip(module(*images(6)(5)), theirs, strict=True):
        assert torch.equal(left, right)


def test_import_by_the_wrong_name_is_refused() -> None:
    """`import passes` from the top of the repository would make a second copy of every class."""
    top = Path(__file__).parents[2]
    finished = subprocess.run(
        [sys.executable, "-c", "import passes"], cwd=top, capture_output=True, text=True, check=False
    )
    assert finished.returncode != 0
    assert "write `from scfx.passes import ...` instead" in finished.stderr
