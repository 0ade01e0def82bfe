"""`scfx demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scfx.demo import Settings, run


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
