"""The command line of the sweep: `python -m tests.zoo --help`."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.zoo.coverage import PAGE, page
from tests.zoo.model import ZooModel
from tests.zoo.registry import LISTS, models, select
from tests.zoo.result import FOLDER, remembered
from tests.zoo.sweep import sweep
from tests.zoo.verdict import summary, verdict


def main(
    words: Annotated[
        list[str] | None, typer.Argument(help="Models, families or sources, as their names begin; all if none.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes at once.")] = len(os.sched_getaffinity(0)),
    timeout: Annotated[float, typer.Option(help="Seconds for one model.")] = 600.0,
    memory: Annotated[float, typer.Option(help="Gigabytes for one model.")] = 8.0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run what has been run before, too.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Run again what did not work.")] = False,
    names: Annotated[bool, typer.Option("--list", help="Print the names and stop.")] = False,
    folder: Annotated[Path, typer.Option(help="Where results are remembered.")] = FOLDER,
    write: Annotated[Path, typer.Option(help="The page to write.")] = PAGE,
) -> None:
    """Prune every architecture, compare with the original, remember the results and write docs/coverage.md of them.

    What has been run is not run again, unless asked for: an interrupted sweep goes on where it stopped.
    """
    console = Console()
    listed: dict[str, tuple[ZooModel, ...]] = {}
    for source in LISTS:
        try:
            listed[source] = models(source)
        except ModuleNotFoundError as error:
            console.print(f"{source}: left out, there is no {error.name}")
    try:
        chosen = select(words or (), [model for found in listed.values() for model in found])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if names:
        console.print("\n".join(model.name for model in chosen), highlight=False)
        return
    done = remembered(folder)
    due = [m.name for m in chosen if fresh or m.name not in done or (failed and not done[m.name].exact)]
    sweep(due, folder, jobs, timeout, memory, console)
    done = remembered(folder)
    for name in [model.name for model in chosen if model.name not in due]:
        console.print(f"{name:40} {verdict(done[name])}", markup=False, highlight=False, soft_wrap=True)
    write.write_text(page(listed, done))
    console.print("\n".join(summary([done[model.name] for model in chosen])), highlight=False)
    if not all(done[model.name].exact for model in chosen):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
