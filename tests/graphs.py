"""Networks whose channel graphs are looked at: on the meta device, as only shapes count."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

import scfx
from scfx.graph.channels import Axis, ChannelGraph
from tests import torchvision_shim
from tests.toys import Residual

torchvision_shim.prepare()

from torchvision import models  # noqa: E402  (needs the declarations above)
from torchvision.models.resnet import Bottleneck  # noqa: E402


class Grouped(nn.Module):
    """A grouped convolution with a group norm and dropout, and a classifier on flattened channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1)
        self.grouped = nn.Conv2d(8, 12, 3, padding=1, groups=4, bias=False)
        self.norm = nn.GroupNorm(4, 12)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(12 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.drop(self.norm(self.grouped(self.first(x)))).flatten(1))
        return result


class Twice(nn.Module):
    """A block that is called twice, tied weights, a parameter that isn't used, and two outputs in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(4, 6)
        self.block = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
        self.tied = nn.Linear(4, 6)
        self.tied.weight = self.enter.weight
        self.idle = nn.Parameter(torch.zeros(3))
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        hidden = self.enter(x) + self.tied(x)
        hidden = self.block(self.block(hidden))
        return {"logits": self.head(hidden)} if self.training else {"logits": self.head(hidden), "hidden": hidden}


class Unknown(nn.Module):
    """An operator that scfx has no rule for, inside of a module."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(4, 6)
        self.odd = nn.Sequential(Doubling())
        self.leave = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.leave(self.odd(self.enter(x)))
        return result


class Doubling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.renorm(x, 2, 0, 1.0)


BUILD: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual": (Residual, (1, 8, 8)),
    "grouped": (Grouped, (3, 2, 2)),
    "twice": (Twice, (4,)),
    "unknown": (Unknown, (4,)),
    "bottlenecks": (functools.partial(models.ResNet, Bottleneck, [1, 1, 5, 1], num_classes=5), (3, 32, 32)),
    "dense": (functools.partial(models.DenseNet, 4, (3, 4), 8, 2, num_classes=5), (3, 32, 32)),
    "resnet50": (functools.partial(models.resnet50, weights=None), (3, 32, 32)),
}


@functools.cache
def graph_of(name: str) -> ChannelGraph:
    """The channel graph of one of the networks, analysed once."""
    build, shape = BUILD[name]
    with torch.device("meta"):
        return scfx.channel_graph(build(), torch.empty(2, *shape), dynamic=False)


def axis_of(graph: ChannelGraph, name: str, dim: int) -> Axis:
    """The only axis that runs along a dimension."""
    (axis,) = [axis for axis in graph if (name, dim) in [(member.name, member.dim) for member in axis.members]]
    return axis
