"""Size, accuracy and whatever else was noted, over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scfx.errors import InputError
from scfx.plot.figures import COMPRESSED, DENSE, FILE_NAME, OTHERS, beside, new_figure, plain, styled, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What was noted at one time: numbers by name. Not all of them need to be noted each time.
Note = Mapping[str, float]

#: The numbers of `net.left().scalars()` that are shares, and stand together.
SHARES = ("weights_left", "channels_left")


@styled
def history(
    notes: Sequence[Note] | Mapping[str, Sequence[Note]],
    over: str = "step",
    panels: Mapping[str, Sequence[str]] | None = None,
    path: FILE_NAME | None = None,
) -> Figure:
    """Draws numbers that were noted while networks trained, such as `net.left().scalars() | {"step": 7, "loss": 0.2}`.

    Args:
        notes: What was noted, in order; or of several runs by their names, the one to compare with first.
        over: The number to draw the others over.
        panels: Which numbers stand together, by what is written beside them. Without, the shares of weights and
            channels left do, and each other number is alone.
        path: A file to write; its ending chooses the format.

    Raises:
        InputError: There is nothing to draw, a note lacks the number `over`, `panels` has a number that nobody noted,
            or the file name stands for no format.
        ScfxError: matplotlib is missing.
    """
    runs = notes if isinstance(notes, Mapping) else {"": notes}
    names = dict.fromkeys(name for run in runs.values() for note in run for name in note if name != over)
    if not names:
        raise InputError(f"there is nothing to draw over {over!r}: no note has any other number")
    for name, run in runs.items():
        lacking = next((place for place, note in enumerate(run) if over not in note), None)
        if lacking is not None:
            of = f" of {name!r}" if name else ""
            raise InputError(f"note {lacking}{of} has no {over!r}, which the others are drawn over: name it with over=")
    shown = panels if panels is not None else _each_alone(list(names))
    for name in (name for panel in shown.values() for name in panel):
        if name not in names:
            raise InputError(f"panels= has {name!r}, which no note has; there are {', '.join(map(repr, names))}")
    figure = new_figure(6.5, 0.6 + 2.0 * len(shown))
    every = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (title, panel) in zip(every, shown.items(), strict=True):
        shares = panels is None and set(panel) <= set(SHARES)
        draw_lines(axes, runs, panel, over, factor=100 if shares else 1)
        axes.set(ylabel=title, ylim=(0, 105) if shares else None)
    every[-1].set_xlabel(over)
    return written(figure, path)


def draw_lines(
    axes: Axes,
    runs: Mapping[str, Sequence[Note]],
    names: Sequence[str],
    over: str,
    factor: float = 1,
    ends: bool = True,
) -> None:
    """One line for each run and number: colours tell the runs apart, or the numbers where there are several.

    All numbers are shown times the factor, but for those that they are drawn over. At the end of a line stands its last
    number, if it is to.
    """
    from matplotlib.ticker import MaxNLocator

    of_runs = [DENSE, COMPRESSED, *OTHERS] if len(runs) > 1 else [COMPRESSED]
    of_names = [COMPRESSED, *OTHERS, DENSE]
    labelled = False
    for number, (run, notes) in enumerate(runs.items()):
        for place, name in enumerate(names):
            points = [(note[over], factor * note[name]) for note in notes if name in note]
            if not points:
                continue
            several = sum(any(name in note for note in other) for other in runs.values()) > 1
            label = name if not several else run if len(names) == 1 else f"{run}: {name}"
            colours, which = (of_names, place) if len(names) > 1 else (of_runs, number)
            axes.plot(
                *zip(*points, strict=True),
                color=colours[which % len(colours)],
                linestyle=("-", "--", ":", "-.")[number % 4] if several and len(names) > 1 else "-",
                marker="o" if len(points) == 1 else None,
                label=label,
            )
            if ends:
                last, colour = points[-1], colours[which % len(colours)]
                beside(axes, f"{last[1]:.3g}", last, color=colour)
            labelled |= several or len(names) > 1
    if labelled:
        axes.legend(frameon=False, loc="best")
    if all(float(note[over]).is_integer() for notes in runs.values() for note in notes):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.grid(alpha=0.25)
    plain(axes)


def _each_alone(names: list[str]) -> dict[str, list[str]]:
    """A panel for each number, but for the shares, which are one."""
    shares = [name for name in names if name in SHARES]
    panels = {name.replace("_", " "): [name] for name in names if name not in SHARES}
    return panels | ({"left of what there was, %": shares} if shares else {})
