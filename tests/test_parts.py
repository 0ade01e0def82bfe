"""A part of a model, compressed and put back into a whole that cannot be traced."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import scfx


class Backbone(nn.Module):
    """Features of an image at two sizes, and what the whole reads about them."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(stride=2)
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.out_channels = [6, 8]

    @property
    def depth(self) -> int:
        return len(self.out_channels)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.first(x).relu()
        return {"large": y, "small": self.second(y)}


class Whole(nn.Module):
    """Branches on values, and asks the backbone for its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Linear(sum(self.backbone.out_channels), 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.backbone(x)
        if found["small"].sum() > 1e9:
            raise ValueError("this is no image")
        assert len(self.backbone.out_channels) == len(found)
        assert self.backbone.config.stride == 2
        result: torch.Tensor = self.head(torch.cat([y.mean((2, 3)) for y in found.values()], 1))
        return result


@pytest.fixture(scope="module")
def parts() -> tuple[Whole, Whole, torch.Tensor]:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 8, 8)
    whole, other = Whole(), Whole()
    other.load_state_dict(whole.state_dict())
    with pytest.raises(scfx.CaptureError, match=r"scfx\.compress\(model\.backbone"):
        scfx.compress(whole, images)
    other.backbone = scfx.compress(other.backbone, images, quantize=False)  # type: ignore[assignment]
    return whole, other, images


def test_the_whole_computes_and_learns_as_before(parts: tuple[Whole, Whole, torch.Tensor]) -> None:
    whole, other, images = parts
    assert torch.allclose(other(images), whole(images), atol=1e-6)
    assert list(other.state_dict()) == list(whole.state_dict())
    other(images).sum().backward()
    assert all(parameter.grad is not None for parameter in other.parameters())


def test_what_is_missing_is_named_with_the_cure(parts: tuple[Whole, Whole, torch.Tensor]) -> None:
    _, other, _ = parts
    assert not hasattr(other.backbone, "depth")
    with pytest.raises(AttributeError, match=r"no attribute 'depth'.*set it, as in net\.depth = model\.depth"):
        _ = other.backbone.depth
    other.backbone.depth = 2  # type: ignore[misc]
    assert other.backbone.depth == 2
