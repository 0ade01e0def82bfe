"""Random networks as small Python programs, which print as their source when a test fails.

A network is drawn as a list of recipes: the name of an operation and seven small numbers. A recipe that fits no value
of the program so far is skipped, so that any list of recipes is a network, and failures shrink by deleting recipes.
Random training behaviour (dropout with p > 0) and operators with infinite slopes are left out on purpose.
"""

import hashlib
import linecache
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

# Imported for the operations that they register, plain ones first.
from tests import (
    network_attention,
    network_layers,
    network_norms,
    network_recurrent,
    network_regrouping,
    network_sequences,
    network_shapes,
)
from tests.network_builder import OPERATIONS, Builder, Numbers, Value, is_map

__all__ = [
    "OPERATIONS",
    "Draft",
    "Network",
    "draft",
    "network_attention",
    "network_layers",
    "network_norms",
    "network_recurrent",
    "network_regrouping",
    "network_sequences",
    "network_shapes",
    "networks",
]

INPUT_SHAPES = ((3, 6, 6), (4, 5, 4), (3, 8), (2, 4, 3, 3), (4, 8, 8), (6,))
"""Shapes of the first input without the batch: mostly images."""

FREQUENT = ("convolution", "batch_norm", "unary", "residual", "concatenate", "binary", "linear")
"""Operations drawn more often, so that most networks have channels to remove between the rare ones."""

SEQUENCE_SHAPES = ((6, 8), (4, 6), (5, 4), (4, 4, 6), (8, 3), (2, 4, 4))
"""Shapes of the first input of a network on sequences: positions and then features."""

SEQUENCE_FREQUENT = (
    "dense",
    "attention",
    "fused_attention",
    "mlp",
    "feature_norm",
    "written_norm",
    "binary",
    "joined_features",
    "through_heads",
    "unary",
)
"""Operations drawn more often in networks on sequences."""

RECENT = (0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7)
"""Which value an operation reads first: mostly the last one, so that networks are deep and not full of dead ends."""

IMPORTS = "import math\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
"""What a printed program needs to run."""

Recipe = tuple[str, Numbers]


@dataclass(frozen=True)
class Network:
    """A program: the source of a class `Net(nn.Module)` and the shapes of its inputs without the batch.

    Where there is a `vocabulary`, the first input holds indices below it; all others are normally distributed.
    """

    source: str
    input_shapes: tuple[tuple[int, ...], ...]
    vocabulary: int = 0

    def build(self, seed: int = 0) -> nn.Module:
        """Return the network in float64 with random weights and, where it has a batch norm, random statistics."""
        filename = f"<random network {hashlib.sha1(self.source.encode()).hexdigest()[:12]}>"
        text = IMPORTS + self.source
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        namespace: dict[str, Any] = {}
        exec(compile(text, filename, "exec"), namespace)
        torch.manual_seed(seed)
        net: nn.Module = namespace["Net"]().double()
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase):
                _randomise(module)
        return net

    def example(
        self, batch: int = 2, seed: int = 0, shapes: Sequence[tuple[int, ...]] | None = None
    ) -> tuple[Tensor, ...]:
        """Return random inputs of these shapes without the batch, or of those that the network is made for."""
        generator = torch.Generator().manual_seed(seed)
        shapes = shapes or self.input_shapes
        made = [torch.randn((batch, *shape), dtype=torch.float64, generator=generator) for shape in shapes]
        if self.vocabulary:
            made[0] = torch.randint(self.vocabulary, (batch, *shapes[0]), generator=generator)
        return tuple(made)

    def __repr__(self) -> str:
        inputs = ", ".join(str(("batch", *shape)) for shape in self.input_shapes)
        below = f"; the first are indices below {self.vocabulary}" if self.vocabulary else ""
        return f"\n{IMPORTS}\n# inputs: {inputs}{below}\n{self.source}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print as source in hypothesis's reports too, which would show the fields of a dataclass."""
        printer.text(repr(self))


def _randomise(norm: nn.modules.batchnorm._NormBase) -> None:
    with torch.no_grad():
        for tensor, low, high in ((norm.weight, 0.5, 1.5), (norm.bias, -0.5, 0.5)):
            if tensor is not None:
                tensor.uniform_(low, high)
        for statistic, low, high in ((norm.running_mean, -0.5, 0.5), (norm.running_var, 0.5, 1.5)):
            if statistic is not None:
                statistic.uniform_(low, high)


def _head(b: Builder, value: Value, head: int) -> str:
    """Return the expression of an output: a linear layer on pooled or flattened features, or plain features."""
    name, size, first = value.name, value.channels, 1 if value.last else 2
    if head == 3:
        return name
    if value.space and head % 2 == 0:
        name = f"{name}.mean({tuple(range(first, first + len(value.space)))})"
    elif value.space and not (value.last and head == 5):
        name, size = f"{name}.flatten(1)", math.prod(value.shape)
    return f"{b.linear(size, 3)}({name})"


@dataclass(frozen=True)
class Draft:
    """What a network is written from. Any recipes make a network: those that fit no value are skipped."""

    inputs: tuple[tuple[int, ...], ...]
    """Shapes of the inputs without the batch."""
    recipes: tuple[Recipe, ...]
    """Operations in order, each a key of `OPERATIONS` and seven numbers from 0 to 7."""
    heads: tuple[tuple[int, int], ...] = ((0, 0),)
    """For each output, which of the values without a reader it reads, 0 is the last, and how it ends (see `_head`)."""
    last: bool = False
    """Whether the inputs are sequences."""
    vocabulary: int = 0
    """Of how many rows a table is that the first input is looked up in, if it is."""

    def write(self) -> Network:
        """Write the program."""
        b = Builder([Value(f"x{i}", tuple(shape), self.last) for i, shape in enumerate(self.inputs)])
        arguments = ", ".join(value.name for value in b.values)
        shapes = list(self.inputs)
        if self.vocabulary:
            shapes[0], width = shapes[0][:-1], shapes[0][-1]
            table = b.attribute(f"nn.Embedding({self.vocabulary}, {width})")
            b.values[0] = Value("e0", self.inputs[0], True)
            b.lines.append(f"e0 = {table}(x0)")
        for name, numbers in self.recipes:
            OPERATIONS[name](b, numbers)
        unread = b.unread()
        results = [_head(b, unread[number % len(unread)], head) for number, head in self.heads]
        setup = textwrap.indent("\n".join(["super().__init__()", *b.setup]), " " * 8)
        body = textwrap.indent("\n".join([*b.lines, f"return {', '.join(results)}"]), " " * 8)
        source = (
            f"class Net(nn.Module):\n    def __init__(self):\n{setup}\n\n    def forward(self, {arguments}):\n{body}\n"
        )
        return Network(source + "\n", tuple(shapes), self.vocabulary)


Choose = Callable[[Sequence[Any]], Any]
"""Chooses one of several options, the first of which is the plainest."""


def draft(choose: Choose, most: int = 14, favourites: tuple[str, ...] = ()) -> Draft:
    """Choose a network of up to `most` operations, on images or on sequences.

    Args:
        choose: makes every choice.
        most: the largest number of operations.
        favourites: operations that are to be drawn more often than the usual ones.
    """

    def recipe() -> Recipe:
        return choose(operations), (choose(RECENT), *(choose(range(8)) for _ in range(6)))

    last = choose((False, True, True))
    operations = (favourites or (SEQUENCE_FREQUENT if last else FREQUENT)) * 4 + tuple(OPERATIONS)
    first = choose(SEQUENCE_SHAPES if last else INPUT_SHAPES)
    inputs = [first]
    if choose(range(4)) == 3:
        width = choose((3, 4, 6))
        inputs.append((*first[:-1], width) if last else (width, *first[1:]))
    layer = "dense" if last else "convolution" if is_map(Value("x0", first)) else "linear"
    recipes: list[Recipe] = [(layer, (0, choose(range(4)), 0, 0, 0, 0, 0)) for _ in range(2)]
    recipes += [recipe() for _ in range(3)]
    while len(recipes) < most and choose(range(8)):
        recipes.append(recipe())
    heads = [(index, choose((0, 1, 0, 5, 0, 1, 3))) for index in range(choose((1, 2, 3)))]
    return Draft(tuple(inputs), tuple(recipes), tuple(heads), last, choose((0, 0, 5)) if last else 0)


@st.composite
def networks(draw: st.DrawFn, most: int = 14, favourites: tuple[str, ...] = ()) -> Network:
    """Return random networks of up to `most` operations, on images or on sequences, with some drawn more often."""
    return draft(lambda options: draw(st.sampled_from(options)), most, favourites).write()
