"""The command line: `scfx demo`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import scfx
from scfx.demo import Settings, run
from scfx.errors import ScfxError

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


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Neural networks that compress themselves while they train."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures and the compressed weights.")] = Settings.out,
    epochs: Annotated[int, typer.Option(help="How often each network sees every digit.")] = Settings.epochs,
    width: Annotated[int, typer.Option(help="Channels of the network's stem; the rest goes with it.")] = Settings.width,
    batch_size: Annotated[int, typer.Option(help="Digits in one training step.")] = Settings.batch_size,
    seed: Annotated[
        int, typer.Option(help="Of the split, the first weights and the order of the digits.")
    ] = Settings.seed,
    gamma: Annotated[
        float, typer.Option(help="Weight of the size in the loss: more compresses more.")
    ] = Settings.gamma,
    threads: Annotated[int, typer.Option(help="Threads to compute with.")] = Settings.threads,
) -> None:
    """Train a small residual network on handwritten digits, once dense and once compressing itself, and compare."""
    run(Settings(out, epochs, width, batch_size, seed, gamma, threads))


def main() -> None:
    """Run the command line: what is wrong goes to standard error in words, with status 1."""
    try:
        app(prog_name="scfx")
    except (ScfxError, OSError) as error:
        typer.echo(f"scfx: {error}", err=True)
        sys.exit(1)
