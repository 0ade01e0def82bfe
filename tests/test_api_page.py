"""docs/api.md has an entry for everything that is public, and none for what isn't there."""

import importlib
import operator
import re
from typing import Any

import scfx
from tests.pages import PAGES

#: Each entry: where the thing is defined, and what the page calls it.
ENTRIES = dict(re.findall(r"^::: (\S+)\n    options:\n      heading: (.+)$", PAGES["docs/api.md"], re.MULTILINE))


def located(path: str) -> Any:
    """What a path leads to; a module may hide behind a function of its name."""
    parts = path.split(".")
    for count in range(len(parts) - 1, 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        return operator.attrgetter(".".join(parts[count:]))(module)
    raise AssertionError(f"{path} begins with no module")


def test_everything_public_is_there() -> None:
    headings = {heading.split(".")[1] for heading in ENTRIES.values() if heading.startswith("scfx.")}
    assert headings >= set(scfx.__all__)
    for owner, name in ((scfx.CompressedModule, "net"), (scfx.ChannelGraph, "graph")):
        public = {each for each in vars(owner) if not each.startswith("_")} - {"start_error", "extra_repr"}
        assert {f"{name}.{each}" for each in public} <= set(ENTRIES.values())


def test_what_is_there_is_what_it_is_called() -> None:
    assert len(ENTRIES) == PAGES["docs/api.md"].count("\n::: ")
    for path, heading in ENTRIES.items():
        found = located(path)
        if heading.startswith("scfx."):
            assert found is operator.attrgetter(heading.removeprefix("scfx."))(scfx), path
