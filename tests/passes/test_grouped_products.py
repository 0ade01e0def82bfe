"""Products with a matrix for each run of rows: channels go from them although torch's own asks for certain widths."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import scfx
from tests.test_precision import zero_some

#: What is left of the sixteen channels of the first product once channel 1 of gate and value is gone.
CHANNELS = [n for n in range(16) if n not in (1, 9)]


class Experts(nn.Module):
    """Rows in three runs, each with a layer of its own; the gate and the value of one product are chunks of it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Parameter(torch.randn(3, 8, 16) / 3), nn.Parameter(torch.randn(3, 8, 8) / 3)
        self.before, self.head = nn.Linear(4, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(x).flatten(0, 1)
        count = y.shape[0] // 3
        offs = torch.stack([torch.full((), n * count, dtype=torch.int32) for n in (1, 2)])
        offs = torch.cat([offs, torch.full((1,), y.shape[0], dtype=torch.int32)])
        gate, value = functional.grouped_mm(y, self.inner, offs=offs).chunk(2, -1)
        made: Tensor = self.head(functional.grouped_mm(torch.relu(gate) * value, self.outer, offs=offs))
        folded: Tensor = made.unflatten(0, x.shape[:2])
        return folded


def test_experts_lose_channels_and_compute_the_same() -> None:
    """Captured in half precision, the only one that torch.export takes it in; compared in double."""
    torch.manual_seed(0)
    model, x = Experts().bfloat16(), torch.randn(4, 3, 4).bfloat16()
    net = scfx.compress(model, x, quantize=False)
    free = {(member.name, member.dim) for axis in net.channels.axes if not axis.pinned for member in axis.members}
    assert {("inner", 1), ("inner", 2), ("outer", 1), ("outer", 2)} <= free
    assert not {("inner", 0), ("outer", 0)} & free
    assert torch.equal(net(x), model(x))
    zero_some(net)
    halves = net(x)
    net.double()
    wanted = net(x.double())
    slopes = torch.autograd.grad(wanted.square().sum(), [net.get_parameter("head.bias"), net.get_parameter("inner")])
    kept = slopes[1][:, [n for n in range(8) if n != 1]][..., CHANNELS]
    assert net.prune()
    assert net.get_parameter("inner").shape == (3, 7, 14)
    assert net.get_parameter("outer").shape == (3, 7, 7)
    found = net(x.double())
    assert torch.allclose(found, wanted, rtol=1e-10)
    again = torch.autograd.grad(found.square().sum(), [net.get_parameter("head.bias"), net.get_parameter("inner")])
    assert torch.allclose(again[0], slopes[0], rtol=1e-10)
    assert torch.allclose(again[1], kept, rtol=1e-10)
    net.bfloat16().eval()
    final = net.finalize()
    assert "scfx" not in final.code
    for one in (net(x), final(x)):
        assert torch.allclose(one, halves, rtol=0.05, atol=0.05)
    net(x).float().sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_torchs_own_at_any_width(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    rows, weight = torch.randn(9, 5, dtype=dtype), torch.randn(3, 5, 7, dtype=dtype)
    offs = torch.tensor([2, 2, 9], dtype=torch.int32)
    exact = torch.ops.scfx.grouped_mm(rows.double(), weight.double(), offs)
    wanted = torch.cat([rows[:2].double() @ weight[0].double(), rows[2:].double() @ weight[2].double()])
    assert torch.allclose(exact, wanted, rtol=1e-12)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    for layout in (weight, weight.transpose(1, 2).contiguous().transpose(1, 2)):
        assert torch.allclose(
            torch.ops.scfx.grouped_mm(rows, layout, offs).double(), wanted, rtol=tolerance, atol=tolerance
        )
