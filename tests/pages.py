"""Pages of the documentation as programs: their blocks, top to bottom, as a reader would paste them.

What is between three backticks and `python` runs, all blocks of a page in one namespace; with `title="net.py"` it is
that file instead. What is marked `console` has commands of scfx behind a `$`, and below each what it writes, where
`...` stands for anything. Other blocks only show something.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.commands.calling import call

ROOT = Path(__file__).resolve().parents[1]

#: Every page that people read, by its path in the repository.
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("docs/**/*.md"))
}

FENCE = re.compile(r"^```(?P<kind>python|console)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """One block: what is in it, the number of the line above it, and the file that it is, if it is one."""

    kind: str
    text: str
    line: int
    title: str | None = None


def blocks(page: str) -> list[Block]:
    """The blocks of a page's text that run, in order."""
    return [
        Block(found["kind"], found["text"], page.count("\n", 0, found.start("text")), found["title"])
        for found in FENCE.finditer(page)
    ]


def run(page: str) -> dict[str, Any]:
    """Runs a page, by its path, in the folder of the moment, and returns the names that it leaves."""
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(PAGES[page]):
        if block.kind == "console":
            for command, shown in commands(block.text):
                check_command(command, shown)
        elif block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        else:
            # Empty lines in front, so that an error names the line of the page.
            exec(compile("\n" * block.line + block.text, page, "exec"), names)
    return names


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what is shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def check_command(command: str, shown: str) -> None:
    """Runs a command line of scfx; it must end well and, if anything is shown, have written that.

    Raises:
        AssertionError: It did not; the message has what it wrote.
    """
    program, *arguments = shlex.split(command)
    assert program == "scfx", f"only scfx runs in the tests: {command}"
    ended = call(*arguments)
    assert ended.status == 0, f"$ {command}\n{ended.err}"
    parts = [re.escape(part) for part in even(shown).split("...")]
    fits = not shown.strip() or re.fullmatch(".*".join(parts), even(ended.out), re.S)
    assert fits, f"$ {command}\n{ended.out}"


def even(text: str) -> str:
    """Text without blanks at the ends of its lines, and without empty lines around it."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
