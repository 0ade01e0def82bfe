"""`scfx size FILE`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from torch import fx

from scfx.commands.sections import Section
from scfx.commands.tables import console_for_output, limited
from scfx.files.files import load


@dataclass(frozen=True)
class Stored:
    """A tensor of a file.

    Attributes:
        name, shape, entries: The parameter or buffer.
        bits: What its numbers take, without scales.
        depths: The bits of an entry of each channel, for a weight that is quantized; else those of its dtype.
    """

    name: str
    shape: tuple[int, ...]
    entries: int
    bits: int
    depths: tuple[int, ...]


def size(
    file: Annotated[Path, typer.Argument(help="A file that scfx.save has written.", show_default=False)],
    everything: Annotated[bool, typer.Option("--all", help="Show every tensor.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for programs.")] = False,
) -> None:
    """Show what the tensors of a saved network take."""
    tensors = stored(load(file))
    taken = file.stat().st_size
    if as_json:
        found = {"file": str(file), "bytes": taken, "tensors": [asdict(tensor) for tensor in tensors]}
        typer.echo(json.dumps(found, indent=2))
        return
    console = console_for_output()
    entries, bits = sum(tensor.entries for tensor in tensors), sum(tensor.bits for tensor in tensors)
    console.print(f"{file}: {taken:,} bytes, of which numbers take {(bits + 7) // 8:,}", soft_wrap=True)
    console.print(f"{entries:,} numbers in {len(tensors):,} tensors, {bits / max(entries, 1):.2f} bits each on average")
    rows = [
        (f"{-(-each.bits // 8):,}", _depths(each.depths), " x ".join(map(str, each.shape)), each.name)
        for each in sorted(tensors, key=lambda each: -each.bits)
    ]
    section = Section("Tensors, the largest first", rows, ("bytes>", "bits each>", "shape", "name+"))
    for piece in limited(section, everything, console.width):
        console.print(piece)


def stored(net: fx.GraphModule) -> tuple[Stored, ...]:
    """The tensors of a loaded network, each with the bits of its channels."""
    found = []
    for name, tensor in net.state_dict().items():
        own = net.meta["bits"].get(name)
        depths = tuple(own) if own is not None else (8 * tensor.element_size(),)
        bits = sum(depths) * tensor.numel() // max(len(depths), 1)
        found.append(Stored(name, tuple(tensor.shape), tensor.numel(), bits, depths))
    return tuple(found)


def _depths(depths: Sequence[int]) -> str:
    """As "4", or "2 to 7" where channels differ."""
    return f"{min(depths)} to {max(depths)}" if len(set(depths)) > 1 else f"{depths[0]}" if depths else "-"
