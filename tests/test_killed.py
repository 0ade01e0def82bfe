"""A run that is killed again and again ends as one that was left alone."""

from __future__ import annotations

import os
import subprocess
import sys

KILLS = int(os.environ.get("SCFX_KILLS", "5"))


def test_a_killed_run_ends_as_one_that_was_left_alone() -> None:
    """In a process of its own, which can fork: `SCFX_KILLS=200 pytest tests/test_killed.py` for more."""
    command = [sys.executable, "-W", "error", "-m", "tests.killed", "--kills", str(KILLS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith(f"{KILLS} kills, ")
