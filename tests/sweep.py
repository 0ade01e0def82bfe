"""The exactness test on every architecture of the zoo: `python -m tests.sweep [names or families]`, about an hour.

Prints one line a model: the worst relative error of outputs, gradients, buffers and parameters after the next step, in
both modes, over three rounds of pruning, and how much was removed. Ends with status 1 if any model failed.
"""

import sys
import time
import traceback

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.oracle import Outcome, check_well_conditioned
from tests.zoo_models import CHECKPOINT, FAMILIES, ZOO


def selected(words: list[str]) -> list[str]:
    """Return the names of all models that the words name, by themselves or by family; all where there is no word."""
    names = [name for word in words for name in FAMILIES.get(word, (word,))] or list(ZOO)
    if unknown := [name for name in names if name not in ZOO]:
        raise SystemExit(f"unknown models {', '.join(unknown)}; choose from {', '.join([*FAMILIES, *ZOO])}")
    return names


def row(outcome: Outcome, seconds: float) -> list[str]:
    """Return the cells of a model that passed."""
    return [
        "exact",
        f"{outcome.worst:.1e}",
        " > ".join(map(str, outcome.channels)),
        f"{outcome.weights[0] / 1e6:.2f} M",
        f"{100 * outcome.weights[-1] / outcome.weights[0]:.1f} %",
        f"{seconds:.0f} s",
    ]


def sweep(names: list[str], console: Console) -> int:
    """Check the models, print the table, and return the number of failures."""
    table = Table("model", "result", "worst error", "channels by round", "weights", "left", "time")
    failures = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(names))
        for name in names:
            progress.update(task, description=name)
            started = time.perf_counter()
            if name.startswith("cifar_") and not CHECKPOINT.exists():
                table.add_row(name, "skipped: no checkpoint")
                progress.advance(task)
                continue
            try:
                model = ZOO[name]
                outcome = check_well_conditioned(
                    model.build, model.example(), seed=list(ZOO).index(name), name=name, everything_first=True
                )
                cells = row(outcome, time.perf_counter() - started)
            except Exception as error:
                failures += 1
                cells = [f"[red]{type(error).__name__}[/red]", str(error)[:300]]
                console.print(traceback.format_exc(), markup=False)
            table.add_row(name, *cells)
            console.print(name, *cells)
            progress.advance(task)
    console.print(table)
    console.print(f"{len(names) - failures} of {len(names)} models exact or skipped")
    return failures


if __name__ == "__main__":
    sys.exit(bool(sweep(selected(sys.argv[1:]), Console())))
