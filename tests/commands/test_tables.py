"""What does not fit in 80 columns."""

import io

from rich.console import Console

from scfx.commands.sections import Section
from scfx.commands.tables import ROWS, broken, limited


def test_names_break_behind_dots() -> None:
    assert broken("encoder.layer.*.query.weight[0]", 20) == "encoder.layer.*.\nquery.weight[0]"
    assert broken("encoder.layer", 20) == "encoder.layer"
    assert broken("a_name_without_any_dots.x", 10) == "a_name_without_any_dots.\nx"


def test_rows_that_are_left_out_are_counted() -> None:
    section = Section(
        "Few", [(f"{row}", "a.b" * 30) for row in range(ROWS + 2)], ("number>", "name+"), after="The end."
    )
    console = Console(file=io.StringIO(), width=40)
    for piece in limited(section, False, 40):
        console.print(piece)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 40
    assert [line.split()[0] for line in lines if line.strip() and line.split()[0].isdigit()] == [*map(str, range(ROWS))]
    assert [line.rstrip() for line in lines[-2:]] == ["  ... 2 more, which --all shows", "  The end."]
