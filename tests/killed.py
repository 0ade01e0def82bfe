"""Kills training runs with SIGKILL at random moments, goes on with what they saved, and compares the ends.

`python -m tests.killed --kills 200` does so often; `make test` does it a few times. The network is captured once, and
each run is a fork of this process.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.lossless_networks import captured
from tests.training_run import KIND, Run, assert_same

STEPS, SAVE_EVERY = 24, 2


def train(folder: Path) -> None:
    """Goes on with the run in this folder, or begins one, up to its end."""
    run, saved, step = Run(), folder / "checkpoint", 0
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    if saved.exists():
        step = run.load(saved)["step"]
    while step < STEPS:
        run.train(range(step, step + 1))
        step += 1
        if step % SAVE_EVERY == 0:
            run.save(saved, step=step)


def in_another_process(folder: Path) -> int:
    """Starts `train` and returns the number of the process."""
    process = os.fork()
    if process:
        return process
    try:
        train(folder)
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)


def ended(process: int) -> bool:
    """Waits for the end of a process and returns whether it came to it by itself.

    Raises:
        RuntimeError: It failed.
    """
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the run ended with {code}")
    return code == 0


def end_of(folder: Path) -> Any:
    """All that a run was at its end."""
    run = Run()
    assert run.load(folder / "checkpoint") == {"step": STEPS}
    return run.everything()


def kill(folder: Path, kills: int, seed: int) -> int:
    """Kills so many times, and returns how many runs came to their end, each compared with one that was left alone."""
    delays = random.Random(seed)
    captured(KIND)
    whole = folder / "whole"
    whole.mkdir()
    start = time.monotonic()
    ended(in_another_process(whole))
    duration = time.monotonic() - start
    expected, ends = end_of(whole), 0
    while True:
        part = folder / f"part {ends}"
        part.mkdir(exist_ok=True)
        process = in_another_process(part)
        if kills:
            time.sleep(delays.random() * 0.6 * duration)
            os.kill(process, signal.SIGKILL)
        if not ended(process):
            kills -= 1
            continue
        assert_same(end_of(part), expected)
        ends += 1
        if not kills:
            return ends


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        ends = kill(Path(folder), arguments.kills, arguments.seed)
    print(f"{arguments.kills} kills, {ends} runs that ended as one that was left alone")


if __name__ == "__main__":
    main()
