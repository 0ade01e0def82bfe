"""How many output channels each layer has, before and after, as in figure 4 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import fx

from scfx.errors import InputError
from scfx.module import CompressedModule
from scfx.plot.figures import COMPRESSED, FILE_NAME, GONE, beside, height, new_figure, plain, rows, styled, written
from scfx.reporting.left import Left
from scfx.reporting.stored import stored_bits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What widths are read off: a network, compressed or finalized, what `net.left()` gave, or numbers by weight.
Widths = CompressedModule | fx.GraphModule | Left | Mapping[str, int]


@styled
def widths(net: Widths, before: Widths | None = None, path: FILE_NAME | None = None) -> Figure:
    """Draws the output channels of each weight, in the network's order: what is left in front of what there was.

    Args:
        net: The compressed network, what its `left()` has given at some time, what its `finalize()` or `scfx.load` has
            returned, or numbers of channels by the names of weights.
        before: The same of the network as it was. Compressed networks, and what they say is left, know it themselves.
        path: A file to write; its ending chooses the format.

    Raises:
        InputError: What was before is not known, or lacks a weight, or the file name stands for no format.
        ScfxError: matplotlib is missing.
    """
    after = _now(net)
    at_first = _at_first(net) if before is None else _now(before)
    if at_first is None:
        raise InputError("what there was before is not known of this network: pass before=, the left() of then")
    missing = [name for name in after if name not in at_first]
    if missing:
        raise InputError(f"before= has no weight {missing[0]!r}; it has {', '.join(map(repr, at_first)) or 'none'}")
    figure = new_figure(6.5, height(len(at_first)))
    axes = figure.subplots()
    now = [after.get(name, 0) for name in at_first]
    draw_bars(axes, list(at_first), list(at_first.values()), now, [f"{n:,}" for n in now])
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderpad=0)
    total, kept = sum(at_first.values()), sum(now)
    axes.set_title(f"{kept:,} of {total:,} output channels are left", fontsize=9, loc="left")
    return written(figure, path)


def draw_bars(
    axes: Axes, names: Sequence[str], before: Sequence[int], after: Sequence[int], texts: Sequence[str]
) -> None:
    """A row for each name: a bar as long as what is left in front of one as long as what there was, and a text."""
    axes.barh(range(len(names)), before, color=GONE, label="before")
    axes.barh(range(len(names)), after, color=COMPRESSED, label="after")
    for place, (length, text) in enumerate(zip(before, texts, strict=True)):
        beside(axes, text, (length, place), fontsize=6)
    rows(axes, names)
    axes.set(xlabel="output channels")
    plain(axes)


def _now(net: Widths) -> Mapping[str, int]:
    if isinstance(net, CompressedModule):
        return Left.of(net).widths
    if isinstance(net, fx.GraphModule):
        return {name: len(bits) for name, bits in stored_bits(net).items()}
    return net.widths if isinstance(net, Left) else net


def _at_first(net: Widths) -> Mapping[str, int] | None:
    if isinstance(net, CompressedModule):
        return Left.of(net).widths_at_first
    return net.widths_at_first if isinstance(net, Left) else None
