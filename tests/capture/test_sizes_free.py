"""Which sizes of the inputs are free after capture, and what is said of sizes that a graph does not hold for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import scfx
from scfx.capture.capture import capture
from scfx.capture.program import MODES, Mode, Program, graph_module
from scfx.errors import InputError
from tests.captured import Base, X
from tests.oracle import check_exact


def call(program: Program, mode: Mode, *args: Any) -> Any:
    return program.call.unflatten(graph_module(program, mode)(*program.call.flatten(args, {})), mode)


class Branch(Base):
    """One function of large batches, another of small ones."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y * 2 if x.shape[0] > 3 else y


class Squeezed(Base):
    """Loses its first dimension for one sample."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y.squeeze()


class Windows(nn.Module):
    """Cuts an image into windows of 4 by 4, padding only what needs it, and mixes the features of each."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.mix, self.head = nn.Conv2d(3, 6, 1), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.features(x)
        if y.shape[2] % 4:
            y = F.pad(y, (0, 0, 0, -y.shape[2] % 4))
        batch, channels, height, width = y.shape
        y = y.view(batch, channels, height // 4, 4, width // 4, 4).permute(0, 2, 4, 3, 5, 1)
        y = self.mix(y.reshape(-1, 16, channels)).relu().mean(1)
        result: torch.Tensor = self.head(y).view(batch, -1, 2).sum(1)
        return result


class Positions(nn.Module):
    """A sequence of up to 16 items with a table of positions, and attention among them."""

    def __init__(self) -> None:
        super().__init__()
        self.items, self.positions = nn.Embedding(20, 8), nn.Parameter(torch.randn(16, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 20)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        y = self.items(ids) + self.positions[: ids.shape[1]]
        result: torch.Tensor = self.head(self.attention(y, y, y, need_weights=False)[0])
        return result


def test_a_branch_on_a_size_is_a_condition_with_its_line() -> None:
    program = capture(Branch(), X)
    with pytest.raises(InputError) as caught:
        call(program, "eval", X[:2])
    text = str(caught.value)
    assert "x has shape (2, 3), but what was captured holds where x.shape[0] > 3" in text
    assert "test_sizes_free.py" in text
    assert "return y * 2 if x.shape[0] > 3 else y" in text


def test_one_sample_alone_is_refused_where_it_is_something_else() -> None:
    model = Squeezed()
    program = capture(model, X)
    assert torch.equal(call(program, "eval", X[:2]), model(X[:2]))
    with pytest.raises(InputError, match=r"holds where x.shape\[0\] >= 2"):
        call(program, "eval", X[:1])


@pytest.mark.parametrize("size", [8, 10])
def test_windows_hold_for_the_images_that_take_the_same_way(size: int) -> None:
    torch.manual_seed(0)
    model = Windows()
    net = scfx.compress(model, torch.randn(2, 3, size, 8), quantize=False).eval()
    with torch.no_grad():
        for height, width in ((size + 4, 8), (size + 16, 20)):
            images = torch.randn(3, 3, height, width)
            assert torch.allclose(net(images), model(images), atol=1e-6)
    with pytest.raises(InputError, match=r"the model branches on this at .*test_sizes_free\.py"):
        net(torch.randn(3, 3, 18 - size, 8))
    free = {axis.size for axis in net.channels.axes if axis.pinned is None}
    assert free == {6, 5}


def test_sequences_of_another_length_give_what_the_model_gives() -> None:
    torch.manual_seed(0)
    model = Positions().double()
    check_exact(model, lambda batch, seed: (torch.arange(batch * (4 + seed % 3)).view(batch, -1) * (seed + 7) % 20,))
    program = capture(model, torch.arange(24).view(3, 8) % 20)
    for length in (2, 5, 16):
        ids = torch.randint(20, (2, length))
        for mode in MODES:
            assert torch.allclose(call(program, mode, ids), model(ids))
    assert capture(model, torch.zeros(3, 8, dtype=torch.long), dynamic=False).call.inputs[0].shape == (None, 8)
    for length in (1, 17):
        with pytest.raises(InputError, match=r"ids has shape"):
            call(program, "eval", torch.zeros(2, length, dtype=torch.long))


def test_a_size_that_the_model_fixes_says_where() -> None:
    class Table(Base):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.layer(x.transpose(1, 2))
            return y + torch.ones(int(x.shape[2]), 1)

    program = capture(Table(), torch.ones(2, 3, 5))
    with pytest.raises(InputError) as caught:
        call(program, "eval", torch.ones(2, 3, 6))
    text = str(caught.value)
    assert "x has size 6 in dimension 2, shape (2, 3, 6); the model was captured with size 5, shape (any, 3, 5)" in text
    assert "which the model fixes at " in text
    assert "torch.ones(int(x.shape[2]), 1)" in text


def test_a_model_that_goes_wrong_with_other_sizes_is_captured_for_any_batch() -> None:
    class Remembers(Base):
        """Keeps a table of the first length it is called with: right for that one only."""

        def __init__(self) -> None:
            super().__init__()
            self.table: dict[str, int] = {}

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            length = self.table.setdefault("length", x.stride(0) // 3)
            y: torch.Tensor = self.layer(x)
            return y * length

    program = capture(Remembers(), torch.ones(2, 5, 3))
    assert program.call.inputs[0].shape is not None
    assert program.call.inputs[0].shape[1] == 5
