"""In how many bits the channels of each weight are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import fx

from scfx.errors import InputError
from scfx.module import CompressedModule
from scfx.plot.figures import FILE_NAME, GONE, beside, height, new_figure, plain, rows, styled, written
from scfx.reporting.left import Left
from scfx.reporting.stored import stored_bits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The deepest colour stands for so many bits, or for the most that there are.
FULL = 8


@styled
def bits(net: CompressedModule | fx.GraphModule | Mapping[str, Sequence[int]], path: FILE_NAME | None = None) -> Figure:
    """Draws, for each weight in the network's order, which shares of its channels are stored in how many bits.

    The bits are whole: those that the whole numbers of a channel need, as `scfx.save` stores them. Channels that are
    gone are shown, too, where the network knows of them: a compressed one does, a finalized one does not.

    Args:
        net: The compressed network, what its `finalize()` or `scfx.load` has returned, or the bits of each channel by
            the names of weights.
        path: A file to write; its ending chooses the format.

    Raises:
        InputError: The network has no quantized weights, or the file name stands for no format.
        ScfxError: matplotlib is missing.
    """
    depths = net if isinstance(net, Mapping) else stored_bits(net)
    if not depths:
        raise InputError("this network has no quantized weights, so there are no bit depths to draw")
    channels = {name: len(each) for name, each in depths.items()}
    if isinstance(net, CompressedModule):
        channels |= {name: count for name, count in Left.of(net).widths_at_first.items() if name in depths}
    figure = new_figure(6.5, height(len(depths)) + 0.3)
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    axes = figure.subplots()
    counts = {name: Counter(each) for name, each in depths.items()}
    most = max(depth for each in counts.values() for depth in each or {0: 0})
    shades = {depth: colormaps["viridis_r"](depth / max(FULL, most)) for depth in range(most + 1)}
    for place, (name, count) in enumerate(counts.items()):
        start = 0.0
        for depth in sorted(count, reverse=True):
            share = 100 * count[depth] / max(1, channels[name])
            axes.barh(place, share, left=start, color=shades[depth], height=0.85)
            start += share
        axes.barh(place, 100 - start, left=start, color=GONE, height=0.3)
        mean = sum(depths[name]) / max(1, len(depths[name]))
        beside(axes, f"{mean:.1f}", (100, place), fontsize=6)
    present = sorted({depth for count in counts.values() for depth in count}, reverse=True)
    patches = [Patch(color=shades[depth], label=str(depth)) for depth in present]
    if any(channels[name] > len(depths[name]) for name in depths):
        patches.append(Patch(color=GONE, label="gone"))
    figure.legend(
        handles=patches,
        loc="outside lower center",
        ncols=min(len(patches), 13),
        handlelength=1,
        columnspacing=1,
        frameon=False,
        title="bits",
    )
    rows(axes, list(depths))
    axes.set(xlabel="channels, %", xlim=(0, 107), xticks=range(0, 101, 20))
    axes.set_title("Bits of each channel, and their mean", fontsize=9, loc="left")
    plain(axes)
    return written(figure, path)
