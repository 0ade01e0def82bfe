"""Writes to parts of complex tensors: autograd has no scatter for complex numbers, so they go through pairs."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from scfx.passes.normalize import NORMALIZE
from tests.passes.tools import check

PARTS: dict[str, Callable[[Tensor], Tensor]] = {
    "slice": lambda z: z[:, 1:3],
    "slices": lambda z: z[:, :2, :1],
    "last": lambda z: z[..., -1],
    "conjugate": lambda z: z.conj()[:, 1:3],
}


class PartTripled(nn.Module):
    """Multiplies a part of a complex tensor in place."""

    def __init__(self, part: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1.0, 2.0, 4, dtype=torch.float64))
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        z = torch.complex(x * self.w, x)
        self.part(z).mul_(3)
        return torch.view_as_real(z)


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())
def test_write_to_a_part_of_a_complex_tensor(part: Callable[[Tensor], Tensor]) -> None:
    def inputs(batch: int) -> tuple[Tensor, ...]:
        return (torch.randn(batch, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(batch)),)

    check(PartTripled(part), inputs, NORMALIZE, needs_grad=True)
