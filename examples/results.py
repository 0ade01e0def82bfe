"""Runs as they are read back from results/: which can be compared, and what each is called."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

#: A line of the results: see `examples.records.Record`.
Run = dict[str, Any]


def grouped(runs: list[Run]) -> Iterator[list[Run]]:
    """The runs that can be compared, the dense ones first, then by size: same network, data, epochs and batch size."""

    def key(run: Run) -> tuple[Any, ...]:
        recipe = run["recipe"]
        return run["example"], run["model"], run["data"], recipe["epochs"], recipe["lr"], run["setting"]["batch_size"]

    for _, group in groupby(sorted(runs, key=key), key):
        yield sorted(group, key=lambda run: (run["compressed"], -run["final"]["weight_bits"]))


def name(run: Run) -> str:
    """What tells a run from the others of its group."""
    recipe = run["recipe"]
    if not run["compressed"]:
        return "dense"
    until = "" if recipe["until"] is None else f", until {recipe['until']:g} bits"
    return f"gamma {recipe['gamma']:g}{until}"
