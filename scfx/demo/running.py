"""The whole demo, from the digits to the table."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.console import Console
from torch import fx, nn

from scfx.compress import CompressedModule, compress
from scfx.demo.data import Digits, load
from scfx.demo.learning import Epoch, train
from scfx.demo.measuring import accuracy, inference_ms, size_of
from scfx.demo.network import DigitsNet
from scfx.demo.outcome import Outcome
from scfx.demo.pictures import draw_curves
from scfx.demo.progress import progress_on
from scfx.demo.settings import Settings, check_packages, prepare_folder
from scfx.demo.table import comparison
from scfx.demo.weights import save_weights
from scfx.reporting.report_text import percent


def run(settings: Settings | None = None, console: Console | None = None) -> Outcome:
    """Runs the demo.

    Args:
        settings: The options; without, the defaults.
        console: Where to show progress and the table; without, standard output.

    Raises:
        DemoError: A package is missing, the folder cannot be written to, or the options do not fit the digits.
    """
    settings, console = settings or Settings(), console or Console()
    check_packages()
    prepare_folder(settings.out)
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        return _run(settings, console)
    finally:
        torch.set_num_threads(threads)


def _run(settings: Settings, console: Console) -> Outcome:
    digits = load(settings.seed)
    digits.batches(settings.batch_size, torch.Generator())  # an error now, not after the folder has been filled
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        dense = DigitsNet(settings.width)
    full = size_of(dense)
    console.print(
        f"{len(digits.labels)} handwritten digits to learn from, {len(digits.held_out_labels)} held out."
        f" A residual network of {full.weights:,} weights learns them twice; bits count per weight of the dense one.",
        highlight=False,
    )
    net = compress(dense, digits.images[: settings.batch_size])
    console.print(f"Quantized to 8 bits, its outputs start {percent(net.start_error or 0)} off.", highlight=False)
    before, after = settings.out / "graph-before.svg", settings.out / "graph-after.svg"
    net.channels.render(before)

    courses: dict[str, list[Epoch]] = {}
    with progress_on(console, settings.epochs, full) as progress:
        for name, model in (("dense", dense), ("compressed", net)):
            progress.begin(name)
            courses[name] = train(model, digits, settings, progress.show)
    net.prune()
    net.channels.render(after)
    curves = settings.out / "curves.png"
    draw_curves(curves, courses["dense"], courses["compressed"])
    final, weights = net.finalize(), settings.out / "compressed.safetensors"
    save_weights(weights, final)
    outcome = _outcome(digits, dense, net, final, courses, (before, after, curves, weights))
    console.print(comparison(outcome))
    return outcome


def _outcome(
    digits: Digits,
    dense: nn.Module,
    net: CompressedModule,
    final: fx.GraphModule,
    courses: dict[str, list[Epoch]],
    files: tuple[Path, ...],
) -> Outcome:
    images, labels = digits.held_out_images, digits.held_out_labels
    models: tuple[nn.Module, nn.Module] = (dense.eval(), final)
    right = [accuracy(model, images, labels) for model in models]
    slow, fast = inference_ms(models, images)
    return Outcome(
        dense=courses["dense"],
        compressed=courses["compressed"],
        dense_size=size_of(dense),
        compressed_size=size_of(final),
        dense_accuracy=right[0],
        compressed_accuracy=right[1],
        inference_ms=(slow, fast),
        held_out=len(labels),
        files=files,
    )
