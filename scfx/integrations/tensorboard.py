"""Scalars for TensorBoard, or anything else that has its `add_scalar`."""

from __future__ import annotations

import time
from typing import Protocol

from scfx.module import CompressedModule
from scfx.reporting.left import Left


class Writer(Protocol):
    """What is needed of a `torch.utils.tensorboard.SummaryWriter`."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """Records one number."""


class Scalars:
    """Writes what is left of a network: bits per weight, shares of weights and channels, the width of each layer.

    From the second call on also the milliseconds that a step has taken since the call before.

    Args:
        writer: A `SummaryWriter`, or what has an `add_scalar` like it.
        prefix: What the tags start with.
    """

    def __init__(self, writer: Writer, prefix: str = "compression") -> None:
        self._writer = writer
        self._prefix = prefix
        self._last: tuple[int, float] | None = None

    def write(self, net: CompressedModule, step: int) -> None:
        """Writes the numbers as they are after so many steps."""
        left = Left.of(net)  # which waits for the device, so that the time is right
        now = time.perf_counter()
        values = left.scalars() | {f"width/{name}": float(width) for name, width in left.widths.items()}
        if self._last is not None and step > self._last[0]:
            values["ms_per_step"] = 1000 * (now - self._last[1]) / (step - self._last[0])
        for name, value in values.items():
            self._writer.add_scalar(f"{self._prefix}/{name}", value, step)
        self._last = step, time.perf_counter()
