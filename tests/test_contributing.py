"""CONTRIBUTING's walk-through shows what is in the rule table. That it runs is tested with all other pages."""

from __future__ import annotations

from scfx.signatures import TABLE
from tests.pages import PAGES, blocks


def test_the_walk_through_shows_the_record_that_is_in_the_table() -> None:
    names: dict[str, object] = {"__name__": "contributing"}
    (block,) = [block for block in blocks(PAGES["CONTRIBUTING.md"]) if "BILINEAR = Pattern(" in block.text]
    exec(block.text, names)
    assert names["BILINEAR"] == TABLE["aten.bilinear.default"]
