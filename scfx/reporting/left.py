"""How much of a network is left, in the numbers that one follows while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scfx.graph.channels import ChannelGraph
    from scfx.module import CompressedModule


@dataclass(frozen=True)
class Left:
    """What is left of a network.

    Attributes:
        bits: Average bits per original weight, as `net.size()` counts them.
        weights: Which share of the weights, from 0 to 1. Channels that have no bits but are still there count.
        channels: Which share of the channels that could go.
        widths: For each weight, by state-dict name, how many output channels it has.
    """

    bits: float
    weights: float
    channels: float
    widths: Mapping[str, int]

    @staticmethod
    def of(module: CompressedModule) -> Left:
        """Reads it off a module."""
        layers = module._size.layers
        weights = sum(module.get_parameter(layer.name).numel() for layer in layers)
        return Left(
            bits=float(module.size().detach()),
            weights=weights / module._size.original.weights,
            channels=prunable(module.channels) / max(1, module._channels_at_first),
            widths={layer.name: layer.made.size for layer in layers},
        )

    def scalars(self) -> dict[str, float]:
        """The three numbers for progress bars and logs, under the names they have there."""
        return {"bits_per_weight": self.bits, "weights_left": self.weights, "channels_left": self.channels}


def prunable(graph: ChannelGraph) -> int:
    """How many channels there are on axes that may shrink."""
    return sum(axis.size for axis in graph.axes if axis.pinned is None)
