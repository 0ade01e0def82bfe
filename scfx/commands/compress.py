"""`scfx compress FILE.py:FUNCTION -o OUT`."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scfx.commands.options import Outputs, TrainAsEval
from scfx.commands.recipe import RETURNS, Recipe, TrainingError
from scfx.commands.usage import UsageError
from scfx.compress import CompressedModule
from scfx.compress import compress as compressed
from scfx.files.files import save
from scfx.reporting.left import Left
from scfx.target import SizeTarget

#: Where there is no terminal, progress is so many lines. The loss that is shown is the mean of so many steps.
LINES, LAST = 10, 50


def compress(
    training: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:FUNCTION",
            help=f"A function that returns {RETURNS}. Batches are pairs of inputs and classes, or with a loss whatever "
            "loss(net, batch) takes. Naming a file runs the code in it.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--to", "-o", help="The file to write, for scfx.load.", show_default=False)],
    bits: Annotated[float, typer.Option(help="The size to arrive at, as a share of the bits at first.")] = 0.05,
    steps: Annotated[int, typer.Option(help="Training steps; batches come again when all have been seen.")] = 1000,
    lr: Annotated[float, typer.Option(help="Learning rate of the weights, with Adam.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of random numbers, before anything is made.")] = 0,
    outputs: Outputs = None,
    train_as_eval: TrainAsEval = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print how it ended as JSON, for programs.")] = False,
) -> None:
    """Train a network down to a size, and write it to a file."""
    place, _, name = training.rpartition(":")
    if not place.endswith(".py") or not name:
        raise UsageError(f"{training!r} is no function of a file: write file.py:FUNCTION, which returns {RETURNS}")
    target, start = SizeTarget(bits=bits, steps=steps), time.monotonic()
    with _room_for(out) as trial, _notes():
        torch.manual_seed(seed)
        recipe = Recipe.of(Path(place), name)
        net = compressed(recipe.model, recipe.inputs, outputs=outputs or None, train_as_eval=train_as_eval)
        save(net, trial)  # what can't be saved is found out now, and not after the training
        loss = train(net, recipe, target, lr)
        save(net.eval(), out)
    left, size = Left.of(net), out.stat().st_size
    if as_json:
        ended = {"file": str(out), "bytes": size, "steps": steps, "seconds": time.monotonic() - start, "loss": loss}
        typer.echo(json.dumps(ended | left.scalars(), indent=2))
    else:
        typer.echo(f"loss {loss:.4g}; {str(left).splitlines()[0]}")
        typer.echo(f"Written to {out}: {size:,} bytes")


def train(net: CompressedModule, recipe: Recipe, target: SizeTarget, lr: float) -> float:
    """Trains a network with Adam until it has its size, and shows how it goes.

    Returns:
        The mean loss of the last steps, without the term for the size.

    Raises:
        TrainingError: A loss is NaN or infinite, or there are too few batches.
    """
    optimizer = torch.optim.Adam(net.train().param_groups(lr=lr))
    last: deque[float] = deque(maxlen=LAST)
    with _progress(target.steps) as show:
        for step in range(target.steps):
            loss = recipe.loss_of(net, recipe.next_batch(step, target.steps))
            last.append(float(loss.detach()))
            if not loss.isfinite():
                raise TrainingError(
                    f"the loss of step {step + 1:,} is {last[-1]}, so nothing was written: a smaller --lr than {lr:g} "
                    "may help, or inputs of a smaller range"
                )
            optimizer.zero_grad()
            (loss + target(net)).backward()
            optimizer.step()
            net.update(optimizer)
            show(step + 1, statistics.fmean(last), net)
    net.prune(optimizer)
    return statistics.fmean(last)


@contextmanager
def _room_for(out: Path) -> Iterator[Path]:
    """A file for trial in a folder beside the output, which is gone again in the end.

    Raises:
        UsageError: Nothing can be written there.
    """
    if out.is_dir():
        raise UsageError(f"{out} is a folder: name a file in it, as in {out / 'small.scfx'}")
    try:
        folder = tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.")
    except OSError as error:
        raise UsageError(f"{out} can't be written: {error.strerror} ({out.parent})") from error
    with folder as name:
        yield Path(name) / "trial"


@contextmanager
def _notes() -> Iterator[None]:
    """Says warnings as notes, each once, when all is done."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(each.message) for each in said if issubclass(each.category, UserWarning)):
        typer.echo(f"note: {message}", err=True)


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[int, float, CompressedModule], None]]:
    """Shows step, loss, bits and weights on standard error: on a terminal a bar, elsewhere some lines."""
    console = Console(stderr=True)

    def numbers(loss: float, net: CompressedModule) -> str:
        left = Left.of(net)
        return f"loss {loss:.4g}, {left.bits:.3g} bits per weight, {left.weights:.1%} of the weights left"

    if not console.is_terminal:
        every = max(1, steps // LINES)

        def line(step: int, loss: float, net: CompressedModule) -> None:
            if step % every == 0 or step == steps:
                typer.echo(f"step {step:,} of {steps:,}: {numbers(loss, net)}", err=True)

        yield line
        return
    columns = BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        task, shown = bar.add_task("", total=steps), 0.0

        def draw(step: int, loss: float, net: CompressedModule) -> None:
            nonlocal shown
            if time.monotonic() - shown > 0.2 or step == steps:
                shown = time.monotonic()
                bar.update(task, completed=step, description=numbers(loss, net))

        yield draw
