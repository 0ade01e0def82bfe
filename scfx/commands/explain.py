"""`scfx explain MODEL PARAMETER DIM`."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer

from scfx.commands.models import analysed
from scfx.commands.options import Inputs, Model, Outputs, TrainAsEval
from scfx.commands.tables import console_for_output
from scfx.commands.usage import UsageError
from scfx.graph.selection import split_member


def explain(
    model: Model,
    parameter: Annotated[
        str,
        typer.Argument(help="A parameter or buffer by its name in the state dict; with its dim, fc.weight[1], too."),
    ],
    dim: Annotated[int | None, typer.Argument(help="The dimension, from 0 on.", show_default=False)] = None,
    inputs: Inputs = None,
    outputs: Outputs = None,
    train_as_eval: TrainAsEval = False,
) -> None:
    """Say what is coupled with a dimension of a parameter, through which operators, and why it stays if it does."""
    written = split_member(parameter)
    if (written is None) == (dim is None):
        raise UsageError(f"which dimension? Write {parameter.partition('[')[0]}[0], or the number behind the name")
    name, number = written or (parameter, dim)
    assert number is not None
    found = analysed(model, inputs or (), outputs or (), train_as_eval)
    console = console_for_output()
    text = found.graph.explain(name, number)
    typer.echo("\n".join(_folded(line, console.width) for line in text.splitlines()) if console.is_terminal else text)


def _folded(line: str, width: int) -> str:
    """A line in as many as it takes, the further ones indented more."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
