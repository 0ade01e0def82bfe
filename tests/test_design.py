"""docs/design.md shows every file of the library in its place, and no file that isn't there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DESIGN = (ROOT / "docs/design.md").read_text()

#: A heading such as "**Capture** (`scfx/`)" and the table below it.
TABLES = re.findall(r"^\*\*[^*]+\*\* \(`([a-z/]+)/`\)\n\n((?:\|.*\n)+)", DESIGN, re.MULTILINE)


def shown(folder: str) -> list[str]:
    """Every name in the first column of the tables of a folder."""
    rows = [row for of, table in TABLES if of == folder for row in table.splitlines()]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


@pytest.mark.parametrize("folder", ["scfx", "scfx/signatures", "passes"])
def test_the_layout_is_that_on_disk(folder: str) -> None:
    names = shown(folder)
    assert len(names) == len(set(names)), "a file is shown twice"
    files = {path.name for path in (ROOT / folder).glob("*.py") if path.stat().st_size}
    assert {name for name in names if name.endswith(".py")} == files - {"__init__.py"} | {"__init__.py"} & set(names)
    assert all((ROOT / folder / name).is_dir() for name in names if name.endswith("/"))


def test_files_named_in_the_text_exist() -> None:
    paths = set(re.findall(r"`((?:scfx|passes|tests|docs)/[\w/]+\.\w+)`", DESIGN))
    assert paths
    missing = sorted(path for path in paths if not (ROOT / path).exists())
    assert not missing
