"""`scfx inspect MODEL`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from scfx.commands.models import Analysed, analysed
from scfx.commands.options import Inputs, Model, Outputs, TrainAsEval
from scfx.commands.tables import console_for_output, show
from scfx.reporting.report import GraphReport


def inspect(
    model: Model,
    inputs: Inputs = None,
    outputs: Outputs = None,
    train_as_eval: TrainAsEval = False,
    everything: Annotated[bool, typer.Option("--all", help="Show every row of every table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON, for programs.")] = False,
) -> None:
    """Show what of a model can be pruned, what can't, and why."""
    found = analysed(model, inputs or (), outputs or (), train_as_eval)
    report = found.graph.report()
    if as_json:
        typer.echo(json.dumps(_data(model, found, report), indent=2))
    else:
        show(console_for_output(), model, found, report, everything)


def _data(name: str, model: Analysed, report: GraphReport) -> dict[str, Any]:
    """The report with its sums, as docs/cli.md describes it."""
    data = asdict(report)
    dims = [{**asdict(dim), "share": dim.share} for dim in report.dims]
    head = {"model": name, "inputs": model.inputs, "parameters": model.parameters, "share": report.share}
    return head | data | {"dims": dims}
