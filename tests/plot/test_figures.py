"""What pictures have in common: files, and matplotlib that is missing."""

import importlib.util
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import scfx


def test_the_ending_of_the_name_chooses_the_format(tmp_path: Path) -> None:
    for name, start in (("x.png", b"\x89PNG"), ("x.pdf", b"%PDF"), ("x.svg", b"<?xml")):
        figure = scfx.plot.widths({"a": 2}, before={"a": 3}, path=tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
        assert figure.axes
    with pytest.raises(scfx.InputError, match=r"'x\.doc' has to end in .*\.png"):
        scfx.plot.widths({"a": 2}, before={"a": 3}, path=str(tmp_path / "x.doc"))


def test_the_same_picture_is_the_same_file_with_text_as_text(tmp_path: Path) -> None:
    for name in ("x.svg", "y.svg"):
        scfx.plot.bits({"a": [2, 3]}, path=tmp_path / name)
    assert (tmp_path / "x.svg").read_bytes() == (tmp_path / "y.svg").read_bytes()
    assert "Bits of each channel" in "".join(ElementTree.parse(tmp_path / "x.svg").getroot().itertext())


def test_matplotlib_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name == "matplotlib" else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(scfx.ScfxError, match=r"matplotlib: pip install 'scfx\[draw\]'"):
        scfx.plot.bits({"a": [2]})
