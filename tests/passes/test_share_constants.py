"""Constants that several layers read are one buffer at the end; while there is something to remove each has its own."""

from pathlib import Path

import torch
from torch import Tensor, nn

import scfx


class Masked(nn.Module):
    """A mask that all layers share, and one that looks the same but is of another type."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        mask, numbers = torch.ones(6, 6, dtype=torch.bool).tril(), torch.ones(6, 6).tril()
        for layer in self.layers:
            x = torch.tanh(layer(x)).masked_fill(~mask, 0) * numbers
        return x


def test_layers_share_what_is_constant(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = scfx.compress(Masked(), torch.randn(2, 6, 6), dynamic=False).eval()
    whole, folded = net.finalize(fold=False), net.finalize()
    constants = [[name for name, _ in each.named_buffers()] for each in (whole, folded)]
    assert [len(names) for names in constants] == [8, 2]
    x = torch.randn(3, 6, 6)
    assert torch.equal(folded(x), whole(x))
    scfx.save(folded, tmp_path / "net")
    assert torch.equal(scfx.load(tmp_path / "net")(x), whole(x))
