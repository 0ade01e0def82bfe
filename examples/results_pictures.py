"""One picture for each network: score against size, seconds by epoch, layers before and after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from examples.results import Run, name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DENSE, COMPRESSED, GONE = "#4c566a", "#d08770", "#d8dee9"

#: The layers shown are those of the run whose share of bits is nearest to this.
SHOWN = 0.05


def draw(path: Path, group: list[Run]) -> None:
    """Draws the runs of one network, the dense one among them, and makes the folder."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    compressed = [run for run in group if run["compressed"]]
    shown = min(compressed, key=lambda run: abs(_share(run) - SHOWN), default=None)
    # Text as text, fixed ids and no date: the same runs give the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "scfx", "font.size": 8}):
        figure = Figure(figsize=(10, 3.4), layout="constrained")
        FigureCanvasSVG(figure)
        size, time, layers = figure.subplots(1, 3)
        _scores(size, group)
        _seconds(time, group)
        if shown:
            _layers(layers, shown)
        for axes in (size, time, layers):
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, metadata={"Date": None})


def _share(run: Run) -> float:
    return float(run["final"]["weight_bits"] / run["dense"]["weight_bits"])


def _scores(axes: Axes, group: list[Run]) -> None:
    for run in group:
        colour = COMPRESSED if run["compressed"] else DENSE
        axes.plot([100 * _share(run)], [run["score"]], "o", color=colour)
    for run in group[:1]:
        if not run["compressed"]:
            axes.axhline(run["score"], color=DENSE, linewidth=0.8, linestyle="--", label="dense")
            axes.legend(frameon=False)
    axes.set(xscale="log", xlabel="bits left, % of 32 a weight", ylabel=group[0]["measure"])


def _seconds(axes: Axes, group: list[Run]) -> None:
    from matplotlib.ticker import MaxNLocator

    for run in group:
        colour = COMPRESSED if run["compressed"] else DENSE
        seconds = [epoch["cpu_seconds"] for epoch in run["epochs"]]
        axes.plot(range(1, len(seconds) + 1), seconds, marker="o", markersize=3, color=colour, alpha=0.8)
    axes.set(xlabel="epoch", ylabel="processor seconds", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _layers(axes: Axes, run: Run) -> None:
    layers = run["layers"]
    places = range(len(layers))
    left = [100 * layer["after"][0] / layer["before"][0] for layer in layers]
    axes.barh(places, [100] * len(layers), color=GONE, label="before")
    axes.barh(places, left, color=COMPRESSED, label="after")
    for place, layer in zip(places, layers, strict=True):
        text = f" {layer['after'][0]} of {layer['before'][0]}, {layer['bits']:.1f} bits"
        axes.annotate(text, (100, place), va="center", fontsize=6)
    axes.set_yticks(places, [layer["name"] for layer in layers], fontsize=6)
    axes.invert_yaxis()
    axes.set(xlabel="output channels, %", xlim=(0, 170), xticks=[0, 50, 100])
    axes.set_title(f"{name(run)}: {100 * _share(run):.1f} % of the bits", fontsize=8)
