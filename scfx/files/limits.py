"""What a file may ask for, whoever wrote it: names, depths and numbers beyond these are no network's."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from torch import fx, nn

from scfx.errors import CheckpointError

#: The bytes of a file's header, which holds the graph: some 100,000 operators.
HEADER = 32_000_000

#: How deep arguments and structures are nested in each other.
DEPTH = 32

#: How many characters a name or a word has.
LETTERS = 1000

#: Channels without bits take no room however wide they are: so many entries are made of a file, and of each byte more.
ENTRIES, ENTRIES_PER_BYTE = 1 << 26, 64


def identifier(name: object, what: str) -> str:
    """A name that can be a variable in the code that torch.fx writes, where nothing else may come."""
    if not isinstance(name, str) or len(name) > LETTERS or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise CheckpointError(f"{what} is named {str(name)[:80]!r}, which can't be a name in code")
    return name


def path(name: object) -> str:
    """The name of a parameter or buffer: parts between dots that can stand in quotes, and are nothing of a module's."""
    if not isinstance(name, str) or not 0 < len(name) <= LETTERS:
        raise CheckpointError(f"a tensor is named {str(name)[:80]!r}")
    for number, part in enumerate(name.split(".")):
        if not part or not part.isprintable() or set(part) & set("\"'\\/{}") or part.startswith("__"):
            raise CheckpointError(f"a tensor is named {name[:80]!r}, which can't be the name of one")
        if hasattr(_MODULES[number > 0], part):
            raise CheckpointError(f"a tensor is named {name[:80]!r}, and {part!r} is something of a module's own")
    return name


def entries(shape: object) -> int:
    """How many entries a tensor of this shape has."""
    if not isinstance(shape, list) or len(shape) > 64 or not all(type(n) is int and 0 <= n < 1 << 62 for n in shape):
        raise CheckpointError(f"{str(shape)[:80]} is no shape")
    return math.prod(shape)


def check_entries(counts: Sequence[int], size: int) -> None:
    """Refuses a file of `size` bytes that claims more entries than any network saved in it has."""
    most = ENTRIES + ENTRIES_PER_BYTE * size
    if sum(counts) > most:
        raise CheckpointError(f"it claims {sum(counts):,} weights, and a file of {size:,} bytes has at most {most:,}")


_MODULES = fx.GraphModule({}, fx.Graph()), nn.Module()
