"""A graph report on a terminal, in as few lines as say it; 80 columns are enough."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from scfx.commands.models import Analysed
from scfx.commands.sections import NO, YES, Section, sections
from scfx.reporting.report import GraphReport
from scfx.reporting.report_text import percent

#: How many rows a section has at most, unless all are asked for.
ROWS = 20

#: How wide lines are where no terminal says so.
WIDTH = 100

#: How wide a reason is that breaks into lines, in characters.
REASON = 34

#: The colours of cells that say whether.
_COLOURS = {YES: "green", NO: "yellow"}


def console_for_output() -> Console:
    """Standard output: as wide as the terminal, with no other markup than ours."""
    plain = Console(markup=False, emoji=False, highlight=False)
    if not plain.is_terminal and "COLUMNS" not in os.environ:
        plain.width = WIDTH
    return plain


def show(console: Console, name: str, model: Analysed, report: GraphReport, everything: bool) -> None:
    """Prints a report.

    Args:
        console: Where to.
        name: The model, as the user wrote it.
        model: How large it is, and what it was captured with.
        report: The report on its channel graph.
        everything: Whether every row of every table is shown.
    """
    size = f": {model.parameters:,} parameters, fed {', '.join(model.inputs)}"
    console.print(Text.assemble((name, "bold"), size), soft_wrap=True)
    console.print(
        Text.assemble(
            (percent(report.share), "bold green" if report.share >= 0.5 else "bold yellow"),
            f" prunable: {report.prunable_channels:,} of {report.channels:,} channels, "
            f"on {report.prunable_axes:,} of {report.axes:,} axes",
        )
    )
    for section in sections(report, model.parameters, everything):
        for piece in limited(section, everything, console.width):
            console.print(piece)


def limited(section: Section, everything: bool, width: int) -> Iterator[RenderableType]:
    """A section with the first of its rows, and a word about the others, for lines of a width."""
    most = len(section.rows) if everything else ROWS
    if not section.rows and not section.after:
        return
    yield Text.assemble("\n", (section.title, "bold"), (section.remark and f": {section.remark}", "dim"))
    if section.rows:
        yield _table(section, most, width) if section.columns else _list(section, most)
    if len(section.rows) > most:
        yield Text(f"  ... {len(section.rows) - most:,} more, which --all shows", "dim")
    if section.after:
        yield Padding(section.after, (0, 0, 0, 2))


def _table(section: Section, most: int, width: int) -> Table:
    table = Table(box=None, padding=(0, 0, 0, 2), header_style="dim")
    names = [column.rstrip(">+") for column in section.columns]
    for column, name in zip(section.columns, names, strict=True):
        right, wide = column.endswith(">"), column.endswith("+")
        table.add_column(name, justify="right" if right else "left", no_wrap=not wide, overflow="fold")
    taken = [
        2 + max(min(len(cell), REASON) if " " in cell and column.endswith("+") else len(cell) for cell in cells)
        for column, *cells in zip(section.columns, names, *section.rows[:most], strict=True)
    ]
    rooms = [width - 2 - (sum(taken) - own) for own in taken]
    for row in section.rows[:most]:
        cells = (cell if " " in cell else broken(cell, room) for cell, room in zip(row, rooms, strict=True))
        table.add_row(*(Text(cell, _COLOURS.get(cell, "")) for cell in cells))
    return table


def broken(name: str, room: int) -> str:
    """A name in lines of a width, if it can be: they break behind its dots."""
    lines = [""]
    for part in re.findall(r"[^.]*\.|[^.]+$", name):
        if lines[-1] and len(lines[-1]) + len(part) > room:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _list(section: Section, most: int) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    for (text,) in section.rows[:most]:
        grid.add_row("  -", Text(text))
    return grid
