"""Draws the diagrams of the pages on ideas: `python docs/make_diagrams.py`, from the root, with the extra `draw`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scfx.nodes.fake_quantize import quantize
from scfx.plot.figures import COMPRESSED, DENSE, GONE, OTHERS, new_figure, plain, style, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
BLUE, YELLOW, GREEN, _ = OTHERS

#: The colour of the cell of a tensor, by its row and column.
Colour = Callable[[int, int], str]


def canvas(width: float, height: float, columns: float, rows: float) -> tuple[Figure, Axes]:
    """A figure in inches, with square cells to draw in, counted from the top left."""
    figure = new_figure(width, height)
    axes = figure.subplots()
    axes.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal")
    axes.set_axis_off()
    return figure, axes


def tensor(axes: Axes, at: tuple[float, float], shape: tuple[int, int], colour: Colour, title: str = "") -> None:
    """A tensor as rows and columns of cells, with a title above it."""
    from matplotlib.patches import Rectangle

    left, top = at
    for row in range(shape[0]):
        for column in range(shape[1]):
            corner = (left + column, top + row)
            axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour(row, column), edgecolor="white", linewidth=1))
    axes.text(left + shape[1] / 2, top - 0.35, title, ha="center", va="bottom", fontsize=7)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A thin arrow from here to there."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": DENSE})


def axis() -> Figure:
    """One channel over two layers and what is between them."""
    figure, axes = canvas(7, 1.9, 31, 7.6)
    tensor(axes, (0, 1.5), (6, 5), lambda row, _: COMPRESSED if row == 3 else GONE, "conv1.weight\n6 filters")
    arrow(axes, (5.4, 4.5), (7, 4.5))
    for place, name in enumerate(("bias", "norm\nscale", "norm\nshift", "running\nmean", "running\nvar")):
        column = (7.5 + 2.6 * place, 1.5)
        tensor(axes, column, (6, 1), lambda row, _: COMPRESSED if row == 3 else GONE, name)
    arrow(axes, (19.5, 4.5), (21, 4.5))
    tensor(
        axes, (22, 2.5), (4, 6), lambda _, column: COMPRESSED if column == 3 else GONE, "conv2.weight\nreads 6 channels"
    )
    axes.text(28.6, 4.6, "channel 3", color=COMPRESSED, fontsize=8, va="center")
    return figure


def terms() -> Figure:
    """A product, a concatenation, and another order."""
    figure, axes = canvas(7, 2.3, 33, 11)
    heads = (COMPRESSED, BLUE, GREEN)
    tensor(axes, (0, 1.5), (1, 12), lambda _, i: heads[i // 4], "12 features")
    arrow(axes, (12.5, 2), (15, 2))
    axes.text(13.75, 1.5, "view", ha="center", fontsize=7)
    tensor(axes, (16, 1.2), (3, 4), lambda head, _: heads[head], "(3 heads, 4 features)")
    axes.text(21.5, 2.7, "a product: a head is 4 of the 12,\na feature is one in each head", fontsize=7, va="center")
    tensor(axes, (0, 6), (1, 4), lambda *_: COMPRESSED, "4 channels")
    tensor(axes, (5, 6), (1, 7), lambda *_: BLUE, "7 channels")
    arrow(axes, (12.5, 6.5), (15, 6.5))
    axes.text(13.75, 6, "cat", ha="center", fontsize=7)
    tensor(axes, (16, 6), (1, 11), lambda _, i: COMPRESSED if i < 4 else BLUE, "laid end to end")
    shades = ("#f3d0d7", "#e59aa9", "#d1495b", "#8f2337")
    tensor(axes, (0, 9.6), (1, 4), lambda _, i: shades[i], "4 channels")
    arrow(axes, (12.5, 10.1), (15, 10.1))
    axes.text(13.75, 9.6, "flip", ha="center", fontsize=7)
    tensor(axes, (16, 9.6), (1, 4), lambda _, i: shades[3 - i], "the same in another order")
    return figure


def signature() -> Figure:
    """A linear layer with a colour for each letter."""
    figure, axes = canvas(6.4, 1.7, 29, 7.4)
    plain_cells: Colour = lambda *_: GONE  # noqa: E731 - one colour is no function worth a name of its own
    for at, shape, title, (down, across) in (
        ((1, 1.8), (3, 5), "input", ("b", "i")),
        ((9, 1.8), (4, 5), "weight", ("o", "i")),
        ((16.5, 1.8), (1, 4), "bias", ("", "o")),
        ((24, 1.8), (3, 4), "result", ("b", "o")),
    ):
        tensor(axes, at, shape, plain_cells, title)
        colours = {"b": DENSE, "i": BLUE, "o": COMPRESSED, "": DENSE}
        height, width = shape
        axes.text(at[0] - 0.4, at[1] + height / 2, down, color=colours[down], ha="right", va="center", weight="bold")
        axes.text(at[0] + width / 2, at[1] + height + 0.9, across, color=colours[across], ha="center", weight="bold")
    for place, sign in ((7, "·"), (15, "+"), (22, "=")):
        axes.text(place, 3.6, sign, ha="center", va="center", fontsize=12)
    return figure


def cases() -> Figure:
    """What a removed index does along letters of each kind."""
    figure, axes = canvas(7, 2.5, 34, 12)
    gone: Sequence[int] = (2,)
    strip: Colour = lambda _, i: COMPRESSED if i in gone else GONE  # noqa: E731 - as above
    for place, (title, text) in enumerate(
        (
            ("1. pointwise", "each index is made\nof its own alone:\nit goes with it"),
            ("2. contracted", "a factor is zero there:\nthe sum loses nothing"),
            ("3. statistic", "the value is zero there:\nthe sum loses nothing,\nand the count stays 5"),
            ("4. rigid", "every index depends\non every other:\npinned, nothing goes"),
        )
    ):
        left = 0.5 + 8.7 * place
        axes.text(left + 2.5, 0.3, title, ha="center", weight="bold")
        tensor(axes, (left, 1.5), (1, 5), (lambda *_: DENSE) if place == 3 else strip)
        if place == 0:
            tensor(axes, (left, 5.5), (1, 5), strip)
            pairs = [((left + i + 0.5, 2.6), (left + i + 0.5, 5.4)) for i in range(5)]
        elif place == 3:
            tensor(axes, (left, 5.5), (1, 5), lambda *_: DENSE)
            pairs = [((left + i + 0.5, 2.6), (left + j + 0.5, 5.4)) for i in range(5) for j in range(5)]
        else:
            axes.text(left + 2.5, 2, "0", color="white", ha="center", va="center", weight="bold")
            tensor(axes, (left + 2, 5.5), (1, 1), lambda *_: GONE)
            pairs = [((left + i + 0.5, 2.6), (left + 2.5, 5.4)) for i in range(5) if i not in gone]
        for start, end in pairs:
            axes.plot(*zip(start, end, strict=True), color=GONE if place == 3 else DENSE, linewidth=0.8)
        axes.text(left + 2.5, 7.4, text, ha="center", va="top", fontsize=7)
    return figure


def quantizer() -> Figure:
    """What comes out of the quantizer for each weight, at some depths."""
    figure = new_figure(7, 2.2)
    x = torch.linspace(-1.2, 1.2, 1201)
    for axes, (bits, exponent) in zip(figure.subplots(1, 4), ((8, -7), (3, -2), (1, 0), (0, 0)), strict=True):
        y = staircase(x, bits, exponent)
        axes.plot(x, x, color=GONE, linewidth=1)
        axes.plot(x, y, color=COMPRESSED)
        axes.set(
            xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), xlabel="weight", aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1)
        )
        axes.set_title(f"b = {bits}", fontsize=8)
        plain(axes)
    return figure


def staircase(x: Tensor, bits: float, exponent: float) -> Tensor:
    """The library's quantizer on numbers as a weight of one output channel."""
    depth = torch.tensor([float(bits)])
    quantized: Tensor = quantize(x[None], depth, torch.tensor([float(exponent)]), depth <= 0, (1, 1))
    return quantized[0]


def main(folder: Path = HERE) -> None:
    """Draws them all into a folder."""
    with style():
        for draw in (axis, terms, signature, cases, quantizer):
            written(draw(), folder / f"diagram-{draw.__name__}.svg")


if __name__ == "__main__":
    main()
