"""What all pictures have in common: figures without a window system, their colours, and files that are reproducible."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from scfx.errors import InputError, ScfxError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What others are compared with; what compresses itself; what comes after these; what is gone.
DENSE, COMPRESSED, OTHERS, GONE = "#7f8c9b", "#d1495b", ("#2e6f95", "#edae49", "#66a182", "#8d6a9f"), "#ccd3da"

FILE_NAME = str | os.PathLike[str]

P = ParamSpec("P")


@contextmanager
def style() -> Iterator[None]:
    """What figures are made and written under: text in SVG stays text, and the same figure gives the same file.

    Raises:
        ScfxError: matplotlib is missing; the message says how to install it.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ScfxError("pictures need matplotlib: pip install 'scfx[draw]'")
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "scfx", "font.size": 8}):
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """A function that draws, in the style of the others."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style():
            return draw(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, which belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=144, layout="constrained")


def written(figure: Figure, path: FILE_NAME | None) -> Figure:
    """The figure, once it is in the file, if there is to be one. Its ending chooses the format.

    Raises:
        InputError: The ending stands for no format.
    """
    if path is not None:
        path = Path(path)
        formats = figure.canvas.get_supported_filetypes()
        ending = path.suffix.lower().removeprefix(".")
        if ending not in formats:
            endings = ", ".join(f".{each}" for each in sorted(formats))
            raise InputError(f"the ending of the file name chooses the format: {path.name!r} has to end in {endings}")
        # Without a date the file is the same each time.
        metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(ending, {})
        figure.savefig(path, metadata=metadata)
    return figure


def plain(*axes: Axes) -> None:
    """Takes away the lines that say nothing."""
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)


def rows(axes: Axes, names: Sequence[str]) -> None:
    """One row for each name, the first on top; `.weight`, which most of them end in, is left out."""
    axes.set_yticks(range(len(names)), [name.removesuffix(".weight") for name in names], fontsize=6)
    axes.set_ylim(len(names) - 0.5, -0.5)


def beside(axes: Axes, text: str, point: tuple[float, float], **how: Any) -> None:
    """Writes a text to the right of a point."""
    axes.annotate(text, point, xytext=(3, 0), textcoords="offset points", va="center", **how)


def height(count: int) -> float:
    """How high a figure with so many rows is, in inches."""
    return 1.0 + 0.17 * count
