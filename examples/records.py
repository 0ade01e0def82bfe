"""What remains of a run: one JSON line with the recipe, each epoch, the sizes at the end, the machine, the versions."""

from __future__ import annotations

import datetime
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

import scfx
from examples.learning import Epoch, Recipe
from scfx.demo.measuring import Size
from scfx.reporting.stored import stored_bits


@dataclass(frozen=True)
class Layer:
    """One quantized weight, its outputs and inputs before and after, and the mean of the whole bits it is stored in."""

    name: str
    before: tuple[int, int]
    after: tuple[int, int]
    bits: float


@dataclass(frozen=True)
class Record:
    """A run.

    Attributes:
        example, model: Which program, and which network.
        compressed: Whether it compressed itself.
        data: What it learned from, with the number of training samples.
        recipe: How it was trained.
        measure: What a score is, in words.
        start_score, score: Before training, and of the network at the end: for a compressed one of `finalize()`.
        dense, final: Sizes of the network as it was given, and at the end.
        epochs: Every epoch.
        layers: Of a compressed network.
        setting: Date, machine, versions.
    """

    example: str
    model: str
    compressed: bool
    data: str
    recipe: Recipe
    measure: str
    start_score: float
    score: float
    dense: Size
    final: Size
    epochs: list[Epoch]
    layers: list[Layer]
    setting: dict[str, Any]


def layers_of(dense: nn.Module, final: fx.GraphModule) -> list[Layer]:
    """Every quantized weight that is left, against its namesake in the network as it was given."""
    before, after = dict(dense.named_parameters()), dict(final.named_parameters())
    result = []
    for name, bits in stored_bits(final).items():
        old, new = before[name].shape, after[name].shape
        mean = sum(bits) / max(1, len(bits))
        result.append(Layer(name.removesuffix(".weight"), (old[0], old[1]), (new[0], new[1]), round(mean, 3)))
    return result


def setting() -> dict[str, Any]:
    """Date, machine and versions, without anything that names the machine."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M"),
        "processor": _processor(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scfx": scfx.__version__,
    }


def append(path: Path, record: Record) -> None:
    """Adds a line to a file, and makes the file and its folder where they are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(asdict(record), default=str) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """All records of a file, the oldest first."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].split(":")[1].strip() if names else platform.processor()
