"""Progress while the networks train: a live display in a terminal, a few plain lines anywhere else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scfx.demo.learning import Epoch
from scfx.demo.measuring import Size

_LINES = 10
"""How many lines a training makes where nothing can be overwritten."""

_BAR, _SHORT_BAR = 24, 8


class Progress(Protocol):
    """What the demo tells while it runs."""

    def begin(self, name: str) -> None:
        """A training begins."""

    def show(self, epoch: Epoch) -> None:
        """An epoch of it is done."""


@contextmanager
def progress_on(console: Console, epochs: int, full: Size) -> Iterator[Progress]:
    """The progress that suits the console, with shares taken of the size of the dense network."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield PlainProgress(console, epochs, full)
        return
    display = LiveProgress(epochs, full)
    with Live(
        display, console=console, auto_refresh=False
    ) as live:  # no thread of its own: it would cost training time
        display.live = live
        yield display


class PlainProgress:
    """The first, the last and some epochs between as a line each, for files and pipes."""

    def __init__(self, console: Console, epochs: int, full: Size) -> None:
        self._console, self._epochs, self._full = console, epochs, full
        self._name = ""

    def begin(self, name: str) -> None:
        self._name = name

    def show(self, epoch: Epoch) -> None:
        every = math.ceil(self._epochs / _LINES)
        if epoch.number in (1, self._epochs) or epoch.number % every == 0:
            numbers = _numbers(epoch, self._full)
            line = ", ".join(f"{heading} {value}" for heading, value in numbers.items())
            self._console.print(
                f"{self._name}: epoch {epoch.number}/{self._epochs}, {line}", soft_wrap=True, highlight=False
            )


class LiveProgress:
    """A row for each training, and a bar for each layer of the network that is compressing itself."""

    def __init__(self, epochs: int, full: Size) -> None:
        self.live: Live | None = None
        self._epochs, self._full = epochs, full
        self._last: dict[str, Epoch | None] = {}
        self._at_first: dict[str, int] = {}

    def begin(self, name: str) -> None:
        self._last[name] = None
        self._refresh()

    def show(self, epoch: Epoch) -> None:
        self._last[next(reversed(self._last))] = epoch
        for layer in epoch.layers:
            self._at_first.setdefault(layer.name, layer.channels)
        self._refresh()

    def _refresh(self) -> None:
        if self.live is not None:
            self.live.update(self, refresh=True)

    def __rich__(self) -> RenderableType:
        return Group(self._trainings(), self._layers())

    def _trainings(self) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column("")
        table.add_column("epoch", justify="right")
        table.add_column("", width=_SHORT_BAR)
        for heading in ("accuracy", "bits/weight", "weights", "bits", "ms/step"):
            table.add_column(heading, justify="right")
        for name, epoch in self._last.items():
            done = epoch.number if epoch else 0
            numbers = list(_numbers(epoch, self._full).values()) if epoch else []
            bar = ProgressBar(total=self._epochs, completed=done, width=_SHORT_BAR)
            table.add_row(Text(name, style="bold"), f"{done}/{self._epochs}", bar, *numbers)
        return table

    def _layers(self) -> RenderableType:
        epoch = next(reversed(self._last.values()), None)
        if epoch is None or not epoch.layers:
            return Text()
        table = Table(box=None, pad_edge=False)
        table.add_column("layer")
        table.add_column("channels", width=_BAR)
        table.add_column("", justify="right")
        table.add_column("bits each", justify="right")
        for layer in epoch.layers:
            before = self._at_first[layer.name]
            alive, there = (round(_BAR * count / before) for count in (layer.alive, layer.channels))
            bar = Text("━" * alive, style="green").append("━" * (there - alive), style="yellow")
            bar.append("╌" * (_BAR - there), style="bright_black")
            table.add_row(layer.name, bar, f"{layer.alive}/{before}", f"{layer.bits:.1f}")
        key = Text("━ has bits", style="green").append("   ━ zero bits, not removed yet", style="yellow")
        return Group(Text(), table, key.append("   ╌ removed", style="bright_black"))


def _numbers(epoch: Epoch, full: Size) -> dict[str, str]:
    """What there is to say about an epoch; bits count per weight of the dense network."""
    size = epoch.size
    return {
        "accuracy": f"{epoch.accuracy:.1f} %",
        "bits per weight": f"{size.weight_bits / full.weights:.2f}",
        "weights left": f"{100 * size.weights / full.weights:.1f} %",
        "bits left": f"{100 * size.weight_bits / full.weight_bits:.1f} %",
        "ms per step": f"{epoch.step_ms:.1f}",
    }
