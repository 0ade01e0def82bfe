"""`scfx graph MODEL -o FILE`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scfx.capture.program import Mode
from scfx.commands.models import analysed
from scfx.commands.options import Inputs, Model, Outputs, TrainAsEval
from scfx.reporting.drawing import render
from scfx.reporting.drawing_layout import FORMATS, check_drawable


class DrawnMode(StrEnum):
    """The graphs that there are."""

    train = "train"
    eval = "eval"


def graph(
    model: Model,
    out: Annotated[
        Path,
        typer.Option(
            "--to",
            "-o",
            help=f"The picture. Its ending chooses the format: {', '.join(f'.{form}' for form in FORMATS)}. All but "
            ".dot need pygraphviz: pip install 'scfx[draw]'.",
            show_default=False,
        ),
    ],
    of: Annotated[
        str | None,
        typer.Option(
            "--of",
            metavar="NAME",
            help="What to draw: the path of a module, for its inside ('' is all of the model, nothing folded), or a "
            "dim, as fc.weight[1], for all that is coupled with it. Without it, the whole model with blocks that "
            "repeat folded.",
            show_default=False,
        ),
    ] = None,
    inputs: Inputs = None,
    outputs: Outputs = None,
    mode: Annotated[DrawnMode, typer.Option(help="Draw what the model computes in this mode.")] = DrawnMode.eval,
    train_as_eval: TrainAsEval = False,
) -> None:
    """Draw a model's channel graph: dims of one colour lose channels together."""
    check_drawable(out)  # before the analysis, which takes a while
    found = analysed(model, inputs or (), outputs or (), train_as_eval)
    drawn: Mode = "train" if mode is DrawnMode.train else "eval"
    render(found.graph, out, of, mode=drawn)
    typer.echo(f"Written to {out}")
