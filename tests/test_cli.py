"""The command line: what it prints, and with which status it ends."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import scfx
from scfx import cli
from scfx.demo import Settings


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line in this process and return its status."""
    monkeypatch.setattr(sys, "argv", ["scfx", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code is None or isinstance(ended.value.code, int)
    return ended.value.code or 0


def test_python_dash_m() -> None:
    root = Path(__file__).resolve().parents[1]
    result = subprocess.run(
        [sys.executable, "-m", "scfx", "--version"], cwd=root, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, f"scfx {scfx.__version__}\n", "")


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"scfx {scfx.__version__}\n"


def test_help_names_the_options(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "demo", "--help") == 0
    text = capsys.readouterr().out
    for option in ("--out", "--epochs", "--width", "--batch-size", "--seed", "--gamma", "--threads"):
        assert option in text


def test_options_reach_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(cli, "run", seen.append)
    assert call(monkeypatch, "demo") == 0
    options = "--out here --epochs 3 --width 5 --batch-size 7 --seed 9 --gamma 0.5 --threads 1"
    assert call(monkeypatch, "demo", *options.split()) == 0
    assert seen == [Settings(), Settings(Path("here"), 3, 5, 7, 9, 0.5, 1)]


def test_what_is_wrong_is_one_line_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    for arguments, message in (
        (["--epochs", "0"], "scfx: --epochs must be 1 or more, not 0\n"),
        (["--out", str(tmp_path / "file")], "choose another with --out\n"),
    ):
        assert call(monkeypatch, "demo", *arguments) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.endswith(message)
        assert shown.err.count("\n") == 1


@pytest.mark.parametrize("arguments", ["demo --epochs many", "demo --nonsense", "nonsense"])
def test_misuse_ends_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str
) -> None:
    assert call(monkeypatch, *arguments.split()) == 2
    assert "Error" in capsys.readouterr().err
