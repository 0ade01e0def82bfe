"""The curves of the demo as a picture: accuracy, what is left, and the time of a training step, by epoch."""

from __future__ import annotations

from pathlib import Path

from scfx.demo.learning import Epoch

DENSE, COMPRESSED, BITS = "#7f8c9b", "#d1495b", "#2e6f95"


def draw_curves(path: Path, dense: list[Epoch], compressed: list[Epoch]) -> None:
    """Draws three panels over the epochs into a file, whose ending chooses the format."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 8.5), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)  # no window system is asked for
    right, left, time = figure.subplots(3, 1, sharex=True)
    full = dense[0].size
    for course, colour, name in ((dense, DENSE, "dense"), (compressed, COMPRESSED, "self-compressing")):
        numbers = [epoch.number for epoch in course]
        marker = "o" if len(course) == 1 else None
        right.plot(numbers, [epoch.accuracy for epoch in course], color=colour, marker=marker, label=name)
        time.plot(numbers, [epoch.step_ms for epoch in course], color=colour, marker=marker, label=name)
    numbers = [epoch.number for epoch in compressed]
    marker = "o" if len(compressed) == 1 else None
    weights = [100 * epoch.size.weights / full.weights for epoch in compressed]
    bits = [100 * epoch.size.weight_bits / full.weight_bits for epoch in compressed]
    left.plot(numbers, weights, color=COMPRESSED, marker=marker, label="weights left")
    left.plot(numbers, bits, color=BITS, marker=marker, label="bits left, of 32 a weight")
    left.annotate(f" {weights[-1]:.1f} %", (numbers[-1], weights[-1]), color=COMPRESSED, va="center")
    left.annotate(f" {bits[-1]:.1f} %", (numbers[-1], bits[-1]), color=BITS, va="center")

    figure.suptitle("A residual network learns to read digits, once dense and once compressing itself")
    ends = [dense[-1].accuracy, compressed[-1].accuracy]
    right.set(ylabel="held-out digits read right, %", ylim=(max(0, min(82, *ends) - 2), 100.5))
    left.set(ylabel="share of the dense network, %", ylim=(0, 105))
    time.set(ylabel="ms per training step", ylim=(0, None), xlabel="epoch")
    for axes in (right, left, time):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="best")
    figure.savefig(path)
