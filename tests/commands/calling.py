"""The command line, called in this process."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from scfx import cli


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str


def call(*arguments: str) -> Ended:
    """Run the command line with 80 columns, and return how it ended."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["scfx", *arguments])
        patch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as ended:
            cli.main()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return Ended(code or 0, out.getvalue(), err.getvalue())


def refused(*arguments: str, status: int) -> str:
    """Run the command line where it has to fail, and return what it says on standard error: no traceback."""
    ended = call(*arguments)
    assert ended.out == ""
    assert ended.status == status, ended.err
    assert "Traceback" not in ended.err
    assert ended.err.startswith("scfx: ")
    return ended.err
