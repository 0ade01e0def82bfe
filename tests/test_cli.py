"""The command line as a whole: help, version, the demo's options, and with which status it ends."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import scfx
from scfx.commands import demo
from scfx.demo import Settings
from tests.commands.calling import call, refused


def test_python_dash_m() -> None:
    root = Path(__file__).resolve().parents[1]
    result = subprocess.run(
        [sys.executable, "-m", "scfx", "--version"], cwd=root, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, f"scfx {scfx.__version__}\n", "")


def test_version() -> None:
    ended = call("--version")
    assert (ended.status, ended.out) == (0, f"scfx {scfx.__version__}\n")


def test_help_names_the_options() -> None:
    ended = call("demo", "--help")
    assert ended.status == 0
    for option in ("--out", "--epochs", "--width", "--batch-size", "--seed", "--gamma", "--threads"):
        assert option in ended.out


@pytest.mark.parametrize("command", ["inspect", "explain", "graph"])
def test_help_says_how_commands_end_and_that_a_file_is_run(command: str) -> None:
    text = " ".join(call(command, "--help").out.replace("│", " ").split())
    assert "Naming a file runs the code in it." in text
    assert "nothing is downloaded" in text
    for status in ("0 fine", "1 the model could not be made, captured, drawn, trained or saved", "2 wrong usage"):
        assert status in text


def test_options_reach_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(demo, "run", seen.append)
    assert call("demo").status == 0
    options = "--out here --epochs 3 --width 5 --batch-size 7 --seed 9 --gamma 0.5 --threads 1"
    assert call("demo", *options.split()).status == 0
    assert seen == [Settings(), Settings(Path("here"), 3, 5, 7, 9, 0.5, 1)]


def test_what_is_wrong_is_one_line_on_standard_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for arguments, message in (
        (["--epochs", "0"], "scfx: --epochs must be 1 or more, not 0\n"),
        (["--out", str(tmp_path / "file")], "choose another with --out\n"),
    ):
        said = refused("demo", *arguments, status=1)
        assert said.endswith(message)
        assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", ["demo --epochs many", "demo --nonsense", "nonsense", "inspect", "graph a.py:b"])
def test_misuse_ends_with_status_2(arguments: str) -> None:
    ended = call(*arguments.split())
    assert ended.status == 2
    assert "Error" in ended.err
