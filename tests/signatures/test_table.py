"""The operator table in the documentation."""

from __future__ import annotations

from pathlib import Path

from scfx.signatures import TABLE
from scfx.signatures.table import render

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"


def test_the_table_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python -m scfx.signatures.table docs/operators.md"


def test_the_table_names_every_operator_and_says_what_it_does() -> None:
    page = render()
    for target, record in TABLE.items():
        assert f"`{target.removeprefix('aten.').removesuffix('.default')}`" in page
        assert record.doc
