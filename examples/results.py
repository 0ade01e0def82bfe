"""Runs as they are read back from results/: which stand together, what each is called, and what it is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

#: A line of the results: see `examples.records.Record`.
Run = dict[str, Any]

#: What tells runs of a group apart where it differs, in words.
_DIFFERENCES = {"epochs": "{:g} epochs", "lr": "lr {:g}", "teacher_share": "{:.0%} from a teacher"}


def grouped(runs: list[Run]) -> Iterator[list[Run]]:
    """The runs of the same network, data and batch size: the dense ones first, then by size."""

    def key(run: Run) -> tuple[Any, ...]:
        return run["example"], run["model"], run["data"], run["setting"]["batch_size"]

    for _, group in groupby(sorted(runs, key=key), key):
        yield sorted(group, key=lambda run: (run["compressed"], -run["final"]["weight_bits"], run["recipe"]["epochs"]))


def name(run: Run, group: list[Run]) -> str:
    """What tells a run from the others of its group."""
    recipe = run["recipe"]
    words = [f"gamma {recipe['gamma']:g}" if run["compressed"] else "dense"]
    if run["compressed"] and recipe["until"] is not None:
        words.append(f"until {recipe['until']:g} bits")
    for what, text in _DIFFERENCES.items():
        values = {other["recipe"].get(what, 0.0) for other in group}
        if len(values) > 1 and recipe.get(what):
            words.append(text.format(recipe[what]))
    return ", ".join(words)


def baseline(run: Run, group: list[Run]) -> Run | None:
    """The dense run to compare with: of the same seed, epochs and learning rate, or else the best of the same seed."""
    dense = [other for other in group if not other["compressed"] and _same(run, other, "seed")]
    alike = [other for other in dense if _same(run, other, "epochs", "lr")]
    return max(alike or dense, key=lambda other: float(other["score"]), default=None)


def _same(run: Run, other: Run, *fields: str) -> bool:
    return all(run["recipe"][field] == other["recipe"][field] for field in fields)
