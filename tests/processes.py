"""Several processes on this machine, as torchrun would start them: each runs one function of a test module."""

import contextlib
import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

TIMEOUT = 150.0
GRACE = 5.0  # for the others, once one has failed


def together(work: Callable[..., Any], *args: Any, count: int = 2) -> list[Any]:
    """What `work(*args)` returns (plain data) in each of `count` processes of one gloo group, by rank.

    They are forked off a process that has imported torch and scfx and in which nothing else has happened, which is
    quick and safe. They find each other by a file, so that tests can run side by side.

    Raises:
        AssertionError: One of them raised, or was not done in time; with its traceback.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.processes", "scfx"])
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        readers, started = [], []
        for rank in range(count):
            reader, writer = context.Pipe(duplex=False)
            process = context.Process(target=_run, args=(writer, meeting, rank, count, work, args), daemon=True)
            process.start()
            writer.close()
            readers.append(reader)
            started.append(process)
        try:
            answers = _answers(readers)
        finally:
            for process in started:
                process.join(GRACE if len(answers) == count else 0)
                process.kill()
                process.join()
    broken = [f"process {rank}: {text}" for rank, (fine, text) in sorted(answers.items()) if not fine]
    assert not broken, "\n".join(broken)
    assert len(answers) == count, f"only processes {sorted(answers)} were done in {TIMEOUT:g} s"
    return [answers[rank][1] for rank in range(count)]


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """This process as the only one of a gloo group, so that what wraps for several processes does so here.

    What trainers write into the environment, for processes that they would start, is gone afterwards.
    """
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", (Path(folder) / "meeting").as_uri(), timedelta(seconds=60), 1, 0)
        try:
            yield
        finally:
            dist.destroy_process_group()
            os.environ.clear()
            os.environ.update(environment)


def _answers(readers: list[Connection]) -> dict[int, tuple[bool, Any]]:
    answers: dict[int, tuple[bool, Any]] = {}
    end = time.monotonic() + TIMEOUT
    while len(answers) < len(readers) and time.monotonic() < end:
        waiting = [reader for rank, reader in enumerate(readers) if rank not in answers]
        for reader in wait(waiting, end - time.monotonic()):
            assert isinstance(reader, Connection)
            try:
                answer = reader.recv()
            except EOFError:
                answer = (False, "ended without a word")
            answers[readers.index(reader)] = answer
            if not answer[0]:
                end = min(end, time.monotonic() + GRACE)
    return answers


def _run(
    writer: Connection, meeting: str, rank: int, count: int, work: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    try:
        dist.init_process_group("gloo", meeting, timedelta(seconds=60), count, rank)
        answer = (True, work(*args))
        if dist.is_initialized():
            dist.destroy_process_group()
    except BaseException:
        answer = (False, traceback.format_exc())
    writer.send(answer)
    writer.close()
