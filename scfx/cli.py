"""The command line: its commands, and the status that it ends with."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import scfx
from scfx.commands.compress import compress
from scfx.commands.demo import demo
from scfx.commands.explain import explain
from scfx.commands.export import export
from scfx.commands.graph import graph
from scfx.commands.inspect import inspect
from scfx.commands.options import EPILOG
from scfx.commands.size import size
from scfx.commands.usage import UsageError
from scfx.errors import InputError, ScfxError, UnknownNameError

#: Errors that say that the command line asks for something that there is not.
WRONG_USAGE = (UsageError, InputError, UnknownNameError)

app = typer.Typer(
    help="Neural networks that compress themselves while they train.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"scfx {scfx.__version__}")
        raise typer.Exit


@app.callback(epilog=EPILOG)
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Neural networks that compress themselves while they train."""


for _command in (inspect, explain, graph, compress, size, export, demo):
    app.command(epilog=EPILOG)(_command)


def main() -> None:
    """Run the command line: what is wrong goes to standard error in words, with status 2 for wrong usage and else 1."""
    try:
        app(prog_name="scfx")
    except (ScfxError, OSError) as error:
        typer.echo(f"scfx: {error}", err=True)
        sys.exit(2 if isinstance(error, WRONG_USAGE) else 1)
