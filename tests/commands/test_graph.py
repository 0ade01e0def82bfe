"""`scfx graph`."""

import importlib.util
from pathlib import Path

import pytest

from tests.commands.calling import call, refused


def test_the_graph_of_a_mode_is_written(models: str, tmp_path: Path) -> None:
    picture = tmp_path / "x.dot"
    ended = call("graph", f"{models}:bare", "--input", "2x4", "-o", str(picture), "--mode", "train")
    assert (ended.status, ended.out, ended.err) == (0, f"Written to {picture}\n", "")
    assert picture.read_text().startswith("digraph")


def test_a_part_can_be_drawn(models: str, tmp_path: Path) -> None:
    picture = tmp_path / "x.dot"
    assert call("graph", f"{models}:bare", "--input", "2x4", "-o", str(picture), "--of", "0.weight[0]").status == 0
    assert "0.weight[0]</b>" in picture.read_text()
    assert "nowhere" in refused(
        "graph", f"{models}:bare", "--input", "2x4", "-o", str(picture), "--of", "nowhere", status=2
    )


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [("x.jpg", 2, "has to end in one of .svg, .png"), ("nowhere/x.svg", 1, "there is no directory")],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_analysis(
    models: str, tmp_path: Path, name: str, status: int, message: str
) -> None:
    assert message in refused("graph", f"{models}:broken", "-o", str(tmp_path / name), status=status)


def test_graphviz_that_is_missing_is_named_with_its_extra(
    models: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = refused("graph", f"{models}:broken", "-o", str(tmp_path / "x.svg"), status=1)
    assert "pip install 'scfx[draw]'" in said
