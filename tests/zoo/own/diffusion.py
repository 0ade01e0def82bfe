"""A diffusion model's U-Net: time embedding, group norm, attention over pixels, skip connections."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def time_embedding(time: Tensor, width: int) -> Tensor:
    """Return sines and cosines of a time step at several speeds."""
    speeds = torch.exp(-math.log(10000) * torch.arange(width // 2, device=time.device) / (width // 2))
    angles = time[:, None].float() * speeds[None]
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class Residual(nn.Module):
    """Two convolutions behind group norms, shifted and scaled by the time."""

    def __init__(self, inputs: int, outputs: int, times: int, groups: int = 4) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(groups, inputs), nn.GroupNorm(groups, outputs)
        self.first, self.second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.time = nn.Linear(times, 2 * outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = self.first(F.silu(self.norm1(x)))
        scale, shift = self.time(F.silu(time))[:, :, None, None].chunk(2, dim=1)
        y = self.second(F.silu(self.norm2(y) * (1 + scale) + shift))
        z: Tensor = self.shortcut(x) + y
        return z


class PixelAttention(nn.Module):
    """Attention of every pixel to every other, with one convolution for q, k and v."""

    def __init__(self, width: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(4, width)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, 3 * self.heads, c // self.heads, h * w).chunk(3, dim=1)
        weights = torch.einsum("bhcq,bhck->bhqk", q * (c // self.heads) ** -0.5, k).softmax(dim=-1)
        y = torch.einsum("bhqk,bhck->bhcq", weights, v).reshape(b, c, h, w)
        z: Tensor = x + self.out(y)
        return z


class DiffusionUNet(nn.Module):
    """One level down and up again, attention at the bottom."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, 2 * width))
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.left = Residual(width, width, 2 * width)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.bottom = Residual(2 * width, 2 * width, 2 * width)
        self.attention = PixelAttention(2 * width)
        self.up = nn.Conv2d(2 * width, width, 3, padding=1)
        self.right = Residual(2 * width, width, 2 * width)
        self.norm = nn.GroupNorm(4, width)
        self.out = nn.Conv2d(width, 3, 3, padding=1)
        self.width = width

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        embedded = self.time(time_embedding(time, self.width))
        left = self.left(self.stem(x), embedded)
        y = self.attention(self.bottom(self.down(left), embedded))
        y = self.up(F.interpolate(y, scale_factor=2, mode="nearest"))
        y = self.right(torch.cat([y, left], dim=1), embedded)
        noise: Tensor = self.out(F.silu(self.norm(y)))
        return noise
