"""Random convolutional networks as small Python programs, which print as their source when a test fails.

A network is drawn as a list of recipes: the name of an operation and four small numbers. A recipe that fits no value of
the program so far is skipped, so that any list of recipes is a network and hypothesis shrinks failures by deleting
recipes. Random training behaviour (dropout with p > 0) and operators with infinite slopes are left out on purpose.
"""

import hashlib
import linecache
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn

# Imported for the operations that they register, plain ones first.
from tests import network_layers, network_shapes
from tests.network_builder import OPERATIONS, Builder, Numbers, Value, is_map

__all__ = ["OPERATIONS", "Network", "network_layers", "network_shapes", "networks", "write"]

INPUT_SHAPES = ((3, 6, 6), (4, 5, 4), (3, 8), (2, 4, 3, 3), (4, 8, 8), (6,))
"""Shapes of the first input without the batch: mostly images."""

FREQUENT = ("convolution", "batch_norm", "unary", "residual", "concatenate", "binary", "linear")
"""Operations drawn more often, so that most networks have channels to remove between the rare ones."""

Recipe = tuple[str, Numbers]


@dataclass(frozen=True)
class Network:
    """A program: the source of a class `Net(nn.Module)` and the shapes of its inputs without the batch."""

    source: str
    input_shapes: tuple[tuple[int, ...], ...]

    def build(self, seed: int = 0) -> nn.Module:
        """Return the network in float64 with random weights and, where it has a batch norm, random statistics."""
        filename = f"<random network {hashlib.sha1(self.source.encode()).hexdigest()[:12]}>"
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(keepends=True), filename)
        namespace: dict[str, type[nn.Module]] = {"torch": torch, "nn": nn, "F": F}  # type: ignore[dict-item]
        exec(compile(self.source, filename, "exec"), namespace)
        torch.manual_seed(seed)
        net = namespace["Net"]().double()
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase):
                _randomise(module)
        return net

    def example(self, batch: int = 2, seed: int = 0) -> tuple[Tensor, ...]:
        """Return normally distributed inputs."""
        generator = torch.Generator().manual_seed(seed)
        return tuple(torch.randn((batch, *s), dtype=torch.float64, generator=generator) for s in self.input_shapes)

    def __repr__(self) -> str:
        return f"\n# inputs: {', '.join(str(('batch', *shape)) for shape in self.input_shapes)}\n{self.source}"

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
    name, shape = value.name, value.shape
    if head == 3:
        return name
    if value.space and head % 2 == 0:
        name, shape = f"{name}.mean({tuple(range(2, 2 + len(value.space)))})", shape[:1]
    elif value.space:
        name, shape = f"{name}.flatten(1)", (torch.Size(shape).numel(),)
    return f"{b.attribute(f'nn.Linear({shape[0]}, 3)')}({name})"


def write(
    inputs: Sequence[tuple[int, ...]], recipes: Sequence[Recipe], heads: Sequence[tuple[int, int]] = ((0, 0),)
) -> Network:
    """Write the program of a list of recipes.

    Args:
        inputs: shapes of the inputs without the batch.
        recipes: operations in order, each a key of `OPERATIONS` and four numbers from 0 to 7.
        heads: for each output, which value it reads (0 is the last one) and how it ends (see `_head`).
    """
    b = Builder([Value(f"x{i}", tuple(shape)) for i, shape in enumerate(inputs)])
    arguments = ", ".join(value.name for value in b.values)
    for name, numbers in recipes:
        OPERATIONS[name](b, numbers)
    results = []
    for number, head in heads:
        value = b.pick(number)
        assert value is not None
        results.append(_head(b, value, head))
    setup = textwrap.indent("\n".join(["super().__init__()", *b.setup]), " " * 8)
    body = textwrap.indent("\n".join([*b.lines, f"return {', '.join(results)}"]), " " * 8)
    source = f"class Net(nn.Module):\n    def __init__(self):\n{setup}\n\n    def forward(self, {arguments}):\n{body}\n"
    return Network(source, tuple(tuple(shape) for shape in inputs))


@st.composite
def networks(draw: st.DrawFn, most: int = 14) -> Network:
    """Return random networks of up to `most` operations."""
    number = st.integers(0, 7)
    numbers = st.tuples(number, number, number, number)
    recipe = st.tuples(st.sampled_from(FREQUENT * 3 + tuple(OPERATIONS)), numbers)
    first = draw(st.sampled_from(INPUT_SHAPES))
    inputs = [first]
    if draw(st.integers(0, 3)) == 3:
        inputs.append((draw(st.sampled_from((3, 4, 6))), *first[1:]))
    layer = "convolution" if is_map(Value("x0", first)) else "linear"
    begin = [(layer, (0, draw(st.integers(0, 3)), 0, 0)) for _ in range(2)]
    recipes = draw(st.lists(recipe, min_size=3, max_size=most))
    heads = draw(st.lists(st.tuples(number, st.sampled_from((0, 1, 0, 1, 3))), max_size=2))
    return write(inputs, [*begin, *recipes], [(0, draw(st.sampled_from((0, 1, 0, 1, 0, 1, 3)))), *heads])
