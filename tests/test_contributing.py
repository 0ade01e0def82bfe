"""CONTRIBUTING's walk-through runs as it stands, top to bottom, as a contributor would paste it."""

from __future__ import annotations

from pathlib import Path

from scfx.signatures import TABLE
from tests.test_readme import python_blocks

CONTRIBUTING = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_walk_through_adds_an_operator() -> None:
    before = dict(TABLE)
    names: dict[str, object] = {"__name__": "contributing"}
    blocks = python_blocks(CONTRIBUTING)
    assert len(blocks) >= 4
    try:
        for line, block in blocks:
            # Empty lines in front, so that an error names the line of CONTRIBUTING.md.
            exec(compile("\n" * line + block, "CONTRIBUTING.md", "exec"), names)
        assert before == TABLE, "the walk-through leaves the rule table as it was"
    finally:
        TABLE.clear()
        TABLE.update(before)


def test_the_walk_through_shows_the_record_that_is_in_the_table() -> None:
    names: dict[str, object] = {"__name__": "contributing"}
    (block,) = [block for _, block in python_blocks(CONTRIBUTING) if "BILINEAR = Pattern(" in block]
    exec(block, names)
    assert names["BILINEAR"] == TABLE["aten.bilinear.default"]
