"""The curves of the demo as a picture: accuracy, what is left, and the time of a training step, by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scfx.demo.learning import Epoch
from scfx.demo.measuring import Size
from scfx.plot.courses import history
from scfx.plot.figures import styled, written

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = {
    "held-out digits read right, %": ["accuracy"],
    "share of the dense network, %": ["weights left", "bits left, of 32 a weight"],
    "ms per training step": ["ms"],
}


@styled
def draw_curves(path: Path, dense: list[Epoch], compressed: list[Epoch]) -> Figure:
    """Draws three panels over the epochs into a file, whose ending chooses the format."""
    full = dense[0].size
    runs = {
        "dense": [_note(epoch) for epoch in dense],
        "self-compressing": [_note(epoch) | _left(epoch.size, full) for epoch in compressed],
    }
    figure = history(runs, over="epoch", panels=PANELS)
    figure.suptitle("A residual network learns to read digits, once dense and once compressing itself")
    right, left, time = figure.axes
    right.set_ylim(max(0, min(82, dense[-1].accuracy, compressed[-1].accuracy) - 2), 100.5)
    left.set_ylim(0, 105)
    time.set_ylim(0, None)
    return written(figure, path)


def _note(epoch: Epoch) -> dict[str, float]:
    return {"epoch": epoch.number, "accuracy": epoch.accuracy, "ms": epoch.step_ms}


def _left(size: Size, full: Size) -> dict[str, float]:
    weights, bits = 100 * size.weights / full.weights, 100 * size.weight_bits / full.weight_bits
    return {"weights left": weights, "bits left, of 32 a weight": bits}
