"""Dims, axes, pins and places in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePath

from torch import fx

from scfx.capture.program import MODES
from scfx.capture.source import HANDLERS, is_users
from scfx.graph.channels import Axis, ChannelGraph
from scfx.reporting.flow import path_of
from scfx.signatures.binding import Binding
from scfx.signatures.pattern import Pattern
from scfx.terms.dims import Concat, Dim, Product, Take, Var, resolve
from scfx.terms.symbolic import size_text

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)\n(?P<code>[^\n]*)')

#: How much of a line of the user's source is shown.
CODE = 80


def dim_text(dim: Dim, groups: Set[Var] = frozenset()) -> str:
    """What a dim is made of: "64", "32 groups x 4", "64 + 32 + 32"; long concatenations are shortened."""
    dim = resolve(dim)
    if isinstance(dim, Var):
        return f"{size_text(dim.size)} groups" if dim in groups else size_text(dim.size)
    if isinstance(dim, Take):
        source = dim_text(dim.source, groups)
        return f"({source} reordered)" if dim.size == dim.source.size else f"({size_text(dim.size)} out of {source})"
    if dim.parts and all(part.size == 1 for part in dim.parts):
        return size_text(dim.size)
    texts = [dim_text(part, groups) for part in dim.parts]
    if isinstance(dim, Product):
        pairs = zip(dim.parts, texts, strict=True)
        return " x ".join(f"({t})" if "+" in t and isinstance(part, Concat) else t for part, t in pairs) or "1"
    runs = [(text, len(list(run))) for text, run in groupby(texts)]
    shown = [
        text if count == 1 else f"{text} + {text}" if count == 2 else f"{count} times {text}" for text, count in runs
    ]
    if len(shown) > 8:
        shown = [*shown[:4], f"{len(shown) - 6} more", *shown[-2:]]
    return " + ".join(shown)


def group_axes(graph: ChannelGraph) -> frozenset[Var]:
    """The axes that are groups of a convolution or a norm: their number is an argument of the operator."""
    found: set[Var] = set()
    for mode in MODES:
        for step in graph._inference.steps[mode]:
            if isinstance(step.record, Pattern) and isinstance(step.call.binding, Binding):
                for letter, argument in step.record.sizes.items():
                    if argument.endswith("groups"):
                        dim = resolve(step.call.binding.dims[letter])
                        found |= {dim} if isinstance(dim, Var) else set()
    return frozenset(found)


def source_line(node: fx.Node) -> str:
    """Where in the user's source a node comes from, as "file.py:12: the code"; "" where that isn't known."""
    found = _FRAME.finditer(str(node.meta.get("stack_trace") or ""))
    frames = [match for match in found if is_users(match["file"]) and match["function"] not in HANDLERS]
    if not frames:
        return ""
    frame = frames[-1]
    code = frame["code"].strip()
    if len(code) > CODE:
        code = f"{code[: CODE - 3]}..."
    return f"{PurePath(frame['file']).name}:{frame['line']}{code and ': ' + code}"


@dataclass(frozen=True)
class Why:
    """Why an axis is pinned.

    Attributes:
        reason: The reason alone.
        node: The name of the node to blame, if there is one.
        module: The path of the module that the node belongs to.
        source: Its line in the user's source.
    """

    reason: str
    node: str = ""
    module: str = ""
    source: str = ""

    def __str__(self) -> str:
        where = self.module and f" in {self.module}"
        return f"{self.reason}{where or (self.node and f' at {self.node}')}{self.source and f' ({self.source})'}"


def why_pinned(graph: ChannelGraph, axis: Axis) -> Why | None:
    """Why an axis is pinned; None if it isn't."""
    pin = axis._var.pin
    if pin is None:
        return None
    for mode in MODES:
        for node in graph._program.graphs[mode].nodes:
            if pin.node == node.name:
                if node.op == "placeholder":
                    return Why(pin.reason)
                return Why(pin.reason, node.name, path_of(node)[0], source_line(node))
    return Why(pin.reason, pin.node or "")


def shortened(items: Sequence[str], most: int, what: str = "more") -> list[str]:
    """The items, or the first and last few with a count of what is left out."""
    if len(items) <= most:
        return list(items)
    tail = max(1, most // 4)
    head = most - tail - 1
    return [*items[:head], f"... {len(items) - head - tail} {what} ...", *items[-tail:]]


def modules_text(paths: Iterable[str]) -> str:
    """Consecutive module paths as a range: "layer1.1 to layer1.3"."""
    names = list(paths)
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}" if len(names) > 2 else " and ".join(names)
