"""The table at the end: dense against compressed."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scfx.demo.measuring import FLOAT_BITS
from scfx.demo.outcome import Outcome


def comparison(outcome: Outcome) -> RenderableType:
    """The table, and what was written where."""
    dense, compressed = outcome.dense_size, outcome.compressed_size
    table = Table(title="\nDense against compressed, same recipe and seed", title_justify="left", title_style="bold")
    table.add_column("")
    for heading in ("dense", "compressed", ""):
        table.add_column(heading, justify="right")
    full, small = outcome.dense_accuracy, outcome.compressed_accuracy
    table.add_row(
        f"accuracy on {outcome.held_out} held-out digits",
        f"{full:.2f} %",
        f"{small:.2f} %",
        f"{small - full:+.2f} points",
    )
    table.add_section()
    table.add_row("weights", f"{dense.weights:,}", f"{compressed.weights:,}", _share(compressed.weights, dense.weights))
    table.add_row(
        "bits of the weights",
        f"{dense.weight_bits:,}",
        f"{compressed.weight_bits:,}",
        _share(compressed.weight_bits, dense.weight_bits),
    )
    table.add_row("bits per original weight", f"{FLOAT_BITS:.2f}", f"{compressed.weight_bits / dense.weights:.2f}", "")
    table.add_row(
        "bits per weight that is left",
        f"{FLOAT_BITS:.2f}",
        f"{compressed.weight_bits / max(1, compressed.weights):.2f}",
        "",
    )
    table.add_row(
        "bits with scales, biases and norms",
        f"{dense.all_bits:,}",
        f"{compressed.all_bits:,}",
        _share(compressed.all_bits, dense.all_bits),
    )
    table.add_section()
    for place, index in (("first", 0), ("last", -1)):
        slow, fast = outcome.dense[index].step_ms, outcome.compressed[index].step_ms
        table.add_row(f"ms per training step, {place} epoch", f"{slow:.1f}", f"{fast:.1f}", _times(slow, fast))
    slow, fast = outcome.dense[-1].seconds, outcome.compressed[-1].seconds
    table.add_row("seconds of training, all in all", f"{slow:.1f}", f"{fast:.1f}", _times(slow, fast))
    slow, fast = outcome.inference_ms
    table.add_row(f"ms to read {outcome.held_out} digits", f"{slow:.1f}", f"{fast:.1f}", _times(slow, fast))
    names = ", ".join(path.name for path in outcome.files)
    return Group(table, Text(f"Written to {outcome.files[0].parent}: ").append(names, style="cyan"))


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %"


def _times(slow: float, fast: float) -> str:
    return f"{slow / fast:.2f} x as fast"
