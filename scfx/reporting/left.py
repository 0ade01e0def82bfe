"""How much of a network is left, in the numbers that one follows while it trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scfx.reporting.report_text import LINES, columns, percent
from scfx.reporting.wording import shortened

if TYPE_CHECKING:
    from scfx.graph.channels import ChannelGraph
    from scfx.module import CompressedModule
    from scfx.removal.zero_bits import ZeroBits

#: How many blockers and reasons are named for each weight.
NAMED = 3


@dataclass(frozen=True)
class Left:
    """What is left of a network.

    Attributes:
        bits: Average bits per original weight, as `net.size()` counts them.
        weights: Which share of the weights, from 0 to 1. Channels that have no bits but are still there count.
        channels: Which share of the channels that could go.
        widths: For each weight, by state-dict name, how many output channels it has.
        zero_bits: For each weight that has channels without bits, which they are, which of them go with the next
            removal, what blocks others, and why the rest stays; those with most first.
        widths_at_first: What `widths` was before any channel went.
    """

    bits: float
    weights: float
    channels: float
    widths: Mapping[str, int]
    zero_bits: tuple[ZeroBits, ...] = ()
    widths_at_first: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def of(module: CompressedModule, zero_bits: tuple[ZeroBits, ...] = ()) -> Left:
        """Reads it off a module."""
        layers = module._size.layers
        weights = sum(module.get_parameter(layer.name).numel() for layer in layers)
        return Left(
            bits=float(module.size().detach()),
            weights=weights / module._size.original.weights,
            channels=prunable(module.channels) / max(1, module._channels_at_first),
            widths={layer.name: layer.made.size for layer in layers},
            zero_bits=zero_bits,
            widths_at_first=module._size.original.widths,
        )

    def scalars(self) -> dict[str, float]:
        """The three numbers for progress bars and logs, under the names they have there."""
        return {"bits_per_weight": self.bits, "weights_left": self.weights, "channels_left": self.channels}

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.bits:.3g} bits per original weight, {percent(self.weights)} of the weights and "
                f"{percent(self.channels)} of the channels left",
                *_zero_bits(self),
            ]
        )


def _zero_bits(left: Left) -> Iterator[str]:
    """How many channels have no bits, and a line for each weight, at most `LINES`."""
    total = sum(left.widths.values())
    zero, go, wait = (
        sum(map(count, left.zero_bits))
        for count in (lambda each: each.count, lambda each: len(each.removable), lambda each: len(each.blocked))
    )
    yield f"{zero:,} of {total:,} output channels have no bits" + (
        f": {go:,} go with the next removal, {wait:,} are blocked, {zero - go - wait:,} stay" if zero else ""
    )
    rows = [["weight", "no bits", "go", "blocked", "stay", "blocked by, or why they stay"]]
    rows += [
        [
            each.weight,
            f"{each.count:,} of {each.channels:,}",
            f"{len(each.removable):,}",
            f"{len(each.blocked):,}",
            f"{each.count - len(each.removable) - len(each.blocked):,}",
            "; ".join(
                shortened([f"{b.name}: {b.entries:,} up to {b.largest:.2g}" for b in each.blockers], NAMED)
                + shortened(list(each.staying), NAMED)
            ),
        ]
        for each in left.zero_bits
    ]
    if zero:
        lines = columns(rows, frozenset({1, 2, 3, 4}))
        yield from (f"  {line}" for line in (lines[0], *shortened(lines[1:], LINES, "more weights")))


def prunable(graph: ChannelGraph) -> int:
    """How many channels there are on axes that may shrink."""
    return sum(axis.size for axis in graph.axes if axis.pinned is None)
