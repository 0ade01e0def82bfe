"""What the demo found, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scfx.demo.learning import Epoch
from scfx.demo.measuring import Size


@dataclass(frozen=True)
class Outcome:
    """What the demo found.

    Attributes:
        dense, compressed: The course of each training.
        dense_size, compressed_size: At the end.
        dense_accuracy, compressed_accuracy: At the end, on the held-out digits, in percent; the compressed network is
            the plain module that `finalize()` gives.
        inference_ms: Of the dense and of the finalized network, for all held-out digits at once.
        held_out: How many digits those are.
        files: What was written.
    """

    dense: list[Epoch]
    compressed: list[Epoch]
    dense_size: Size
    compressed_size: Size
    dense_accuracy: float
    compressed_accuracy: float
    inference_ms: tuple[float, float]
    held_out: int
    files: tuple[Path, ...]
