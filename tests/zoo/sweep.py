"""Many models, each in its own process with limits on time and memory, several at once."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.zoo.result import Result, path_of
from tests.zoo.verdict import verdict

ROOT = Path(__file__).resolve().parents[2]


def run(name: str, folder: Path, timeout: float, gigabytes: float) -> Result:
    """Examine one model in its own process, and return what it left behind, with the reason if it was stopped."""
    path = path_of(name, folder)
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.zoo.worker", name, str(path), str(gigabytes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    stopped = ""
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, timeout=timeout, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [""]
            stopped = f"the process ended with status {done.returncode}: {last[0]}"
    except subprocess.TimeoutExpired:
        stopped = f"took more than {timeout:.0f} s"
    result = Result.load(path) if path.exists() else Result(name)
    if stopped:
        result.failure = stopped
        result.save(path)
    return result


def sweep(
    names: Sequence[str], folder: Path, jobs: int, timeout: float, gigabytes: float, console: Console
) -> list[Result]:
    """Examine models, several at once, with a line for each as soon as it is done."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    results = []
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task("models", total=len(names))
        pending = {pool.submit(run, name, folder, timeout, gigabytes): name for name in names}
        try:
            for future in as_completed(pending):
                results.append(future.result())
                progress.advance(task)
                progress.console.print(
                    f"{pending[future]:40} {verdict(results[-1])}", markup=False, highlight=False, soft_wrap=True
                )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results
