"""Networks to save, with channels of many depths, and files that say something else than what was saved."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import scfx
from scfx.saving.container import Container

FILES = Container("scfx.network", "1", "network", "get it again")


class Mixed(nn.Module):
    """Grouped, transposed and shared weights, a table, and a buffer, for (batch, 4, 6, 6) images."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(4, 12, 3, groups=2), nn.BatchNorm2d(12)
        self.up = nn.ConvTranspose2d(12, 8, 2, groups=2)
        self.again = nn.Conv1d(5, 5, 1, bias=False)
        self.shared = nn.Conv1d(5, 5, 1, bias=False)
        self.shared.weight = self.again.weight
        self.last = nn.Linear(8, 3)
        self.register_buffer("shift", torch.arange(3.0))

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(torch.relu(self.norm(self.first(x)))).mean(3)
        y = self.shared(torch.relu(self.again(y.transpose(1, 2)))).mean(1)
        result: Tensor = self.last(y) + self.get_buffer("shift")
        return result


def set_depths(net: scfx.CompressedModule, seed: int = 0) -> None:
    """Gives each channel a depth of its own, from none to 9 bits."""
    generator = torch.Generator().manual_seed(seed)
    for _, quantizer in net.quantizers():
        with torch.no_grad():
            bits = torch.rand(quantizer.bits.shape, generator=generator) * 10 - 1
            quantizer.bits.copy_(bits.clamp_min(0))


def rewrite(path: Path, edit: Callable[[Any, dict[str, Tensor]], Any]) -> None:
    """Changes what a file says, or holds, and makes its checksum right again."""
    tensors, text = FILES.read(path)
    content = json.loads(text)
    edited = edit(content, tensors)
    FILES.write(path, tensors, edited if isinstance(edited, str) else json.dumps(content))
