"""docs/design.md shows every file of the library in its place, and no file that isn't there."""

import ast
import re
from collections.abc import Iterator
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


FOLDERS = ["scfx", "passes", *sorted({path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("scfx/*/*.py")})]

#: Folders with an idea of their own, which the layout shows as one thing.
CLOSED = {"scfx/passes", "scfx/integrations", "scfx/demo"}

#: The floor of each file and folder of scfx, by its number in the list.
FLOORS = {
    name.rstrip("/").removesuffix(".py"): int(floor)
    for floor, line in re.findall(r"^(\d+)\. (`.+)$", DESIGN.split("## 8.")[1].split("\n## ")[0], re.MULTILINE)
    for name in re.findall(r"`([\w/]+(?:\.py)?)`", line)
}

#: Imports inside functions that go up, as the text below the list says.
DOORS = {("capture", "passes"), ("capture", "graph"), ("graph", "reporting")}


@pytest.mark.parametrize("folder", sorted(set(FOLDERS) - CLOSED))
def test_the_layout_is_that_on_disk(folder: str) -> None:
    names = shown(folder)
    assert len(names) == len(set(names)), "a file is shown twice"
    files = {path.name for path in (ROOT / folder).glob("*.py") if path.stat().st_size}
    assert {name for name in names if name.endswith(".py")} == files - {"__init__.py"} | {"__init__.py"} & set(names)
    assert all((ROOT / folder / name).is_dir() for name in names if name.endswith("/"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """What a file imports from scfx at run time, by its first name, and whether it does at its top."""
    tree = ast.parse(path.read_text())
    for_types = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    skipped = {id(inner) for node in for_types for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in skipped and (node.module or "").startswith("scfx"):
            top = node in tree.body
            _, _, rest = (node.module or "").partition(".")
            yield from ((name.split(".")[0], top) for name in ([rest] if rest else [a.name for a in node.names]))


def test_imports_go_one_way() -> None:
    wrong = []
    for path in [*ROOT.glob("scfx/*.py"), *ROOT.glob("scfx/*/*.py")]:
        here = path.relative_to(ROOT).with_suffix("").parts[1]
        for there, top in imports(path) if here in FLOORS else ():
            down = there == here or FLOORS[there] < FLOORS[here]
            if not (down or ((here, there) in DOORS and not top)):
                wrong.append(f"{path.relative_to(ROOT)} imports {there}")
    assert not wrong
    assert set(FLOORS) >= {path.stem for path in ROOT.glob("scfx/[a-z]*") if path.suffix in ("", ".py")}


def test_files_named_in_the_text_exist() -> None:
    paths = set(re.findall(r"`((?:scfx|passes|tests|docs)/[\w/]+\.\w+)`", DESIGN))
    assert paths
    missing = sorted(path for path in paths if not (ROOT / path).exists())
    assert not missing
