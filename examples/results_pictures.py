"""One picture for each network: score against size, seconds by epoch, layers before and after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from examples.results import Run, name
from scfx.plot.courses import draw_lines
from scfx.plot.figures import COMPRESSED, DENSE, new_figure, plain, styled, written
from scfx.plot.layers import draw_bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The layers shown are those of the run whose share of bits is nearest to this.
SHOWN = 0.05


@styled
def draw(path: Path, group: list[Run]) -> Figure:
    """Draws the runs of one network, the dense ones among them, and makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    compressed = [run for run in group if run["compressed"]]
    shown = min(compressed, key=lambda run: abs(_share(run) - SHOWN), default=None)
    figure = new_figure(10, 3.4)
    size, time, layers = figure.subplots(1, 3)
    _scores(size, group)
    _seconds(time, group)
    if shown:
        _layers(layers, shown, name(shown, group))
    return written(figure, path)


def _share(run: Run) -> float:
    return float(run["final"]["weight_bits"] / run["dense"]["weight_bits"])


def _scores(axes: Axes, group: list[Run]) -> None:
    for run in group:
        colour = COMPRESSED if run["compressed"] else DENSE
        axes.plot([100 * _share(run)], [run["score"]], "o", color=colour)
    dense = [run["score"] for run in group if not run["compressed"]]
    if dense:
        axes.axhline(max(dense), color=DENSE, linewidth=0.8, linestyle="--", label="dense")
        axes.legend(frameon=False)
    axes.set(xscale="log", xlabel="bits left, % of 32 a weight", ylabel=group[0]["measure"])
    plain(axes)


def _seconds(axes: Axes, group: list[Run]) -> None:
    runs = {
        name(run, group): [{"epoch": epoch["number"], "seconds": epoch["cpu_seconds"]} for epoch in run["epochs"]]
        for run in group
    }
    draw_lines(axes, runs, ["seconds"], "epoch", ends=False)
    axes.set(xlabel="epoch", ylabel="processor seconds", ylim=(0, None))


def _layers(axes: Axes, run: Run, called: str) -> None:
    names, before, after, texts = [], [], [], []
    for layer in run["layers"]:
        names.append(layer["name"])
        before.append(layer["before"][0])
        after.append(layer["after"][0])
        texts.append(f"{after[-1]} of {before[-1]}, {layer['bits']:.1f} bits")
    draw_bars(axes, names, before, after, texts)
    axes.set_xlim(0, 1.7 * max(before))
    axes.legend(loc="upper right", frameon=False)
    axes.set_title(f"{called}: {100 * _share(run):.1f} % of the bits", fontsize=8)
