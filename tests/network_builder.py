"""The state of a random network while it is written, statement by statement, as Python source."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

LARGEST = 1500
"""Largest number of elements of a value per example, to keep networks fast."""

WIDEST = 24
"""Largest number of channels."""

Numbers = tuple[int, ...]
"""Seven small random numbers with which an operation makes its choices. Zeros give the plainest choice."""


@dataclass(frozen=True)
class Value:
    """A variable of the program and its shape without the batch dimension.

    In a feature map, channels come first and then space. In a sequence they come last, behind the positions.
    """

    name: str
    shape: tuple[int, ...]
    last: bool = False
    """Whether the channels come last."""

    @property
    def channels(self) -> int:
        return self.shape[-1 if self.last else 0]

    @property
    def space(self) -> tuple[int, ...]:
        return self.shape[:-1] if self.last else self.shape[1:]

    @property
    def dim(self) -> int:
        """The dimension of the channels, in the variable."""
        return -1 if self.last else 1

    def __str__(self) -> str:
        return self.name


@dataclass
class Builder:
    """Collects the lines of `__init__` and `forward` and the values that later statements may use."""

    values: list[Value]
    setup: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    convolutions: list[tuple[str, int, int]] = field(default_factory=list)
    """Convolutions that keep the shape: attribute, channels, rank. They may be used a second time."""
    dense: list[tuple[str, int]] = field(default_factory=list)
    """Linear layers over the features of sequences, which keep their number: attribute, features."""
    count: int = 0

    def fresh(self, prefix: str) -> str:
        """Return an unused name."""
        self.count += 1
        return f"{prefix}{self.count}"

    def any(self, number: int, accepts: Callable[[Value], bool] = lambda value: True) -> Value | None:
        """Return one of the acceptable values, the most recent one for number 0, None where there is none."""
        found = [value for value in reversed(self.values) if accepts(value)]
        return found[number % len(found)] if found else None

    def pick(self, number: int, accepts: Callable[[Value], bool] = lambda value: True) -> Value | None:
        """Return one of the acceptable feature maps and vectors."""
        return self.any(number, lambda value: not value.last and accepts(value))

    def sequence(self, number: int, accepts: Callable[[Value], bool] = lambda value: True) -> Value | None:
        """Return one of the acceptable sequences."""
        return self.any(number, lambda value: value.last and accepts(value))

    def unread(self) -> list[Value]:
        """Return the values that no statement reads, the most recent one first."""
        read = {name for line in self.lines for name in re.findall(r"\w+", line.partition(" = ")[2] or line)}
        return [value for value in reversed(self.values) if value.name not in read]

    def attribute(self, constructor: str) -> str:
        """Add a line to `__init__` that makes a submodule or a parameter; return how to read it."""
        name = self.fresh("m")
        self.setup.append(f"self.{name} = {constructor}")
        return f"self.{name}"

    def buffer(self, expression: str) -> str:
        """Register a buffer; return how to read it."""
        name = self.fresh("b")
        self.setup.append(f'self.register_buffer("{name}", {expression})')
        return f"self.{name}"

    def linear(self, inputs: int, outputs: int, bias: bool = True) -> str:
        """Add a linear layer; return how to read it."""
        return self.attribute(f"nn.Linear({inputs}, {outputs}{'' if bias else ', bias=False'})")

    def let(self, expression: str) -> str:
        """Add a statement for an intermediate result that later operations do not use; return its name."""
        name = self.fresh("t")
        self.lines.append(f"{name} = {expression}")
        return name

    def emit(self, expression: str, shape: tuple[int, ...], last: bool = False) -> bool:
        """Add a statement and its value, unless the value would be too large or empty. Return whether it was added."""
        if not (0 < math.prod(shape) <= LARGEST and shape[-1 if last else 0] <= WIDEST):
            return False
        value = Value(self.fresh("v"), shape, last)
        self.lines.append(f"{value} = {expression}")
        self.values.append(value)
        return True


Operation = Callable[[Builder, Numbers], object]
"""Adds statements for one operation, or does nothing where no value fits."""

OPERATIONS: dict[str, Operation] = {}
"""All operations by name, plain ones first, because failing examples shrink towards the front."""


def operation(function: Operation) -> Operation:
    """Register an operation under its function's name."""
    OPERATIONS[function.__name__] = function
    return function


def is_map(value: Value) -> bool:
    """Whether a value has one to three spatial dimensions."""
    return 1 <= len(value.space) <= 3


def is_image(value: Value) -> bool:
    """Whether a value has two spatial dimensions."""
    return len(value.space) == 2


def is_vector(value: Value) -> bool:
    """Whether a value has channels only."""
    return not value.space


def is_line(value: Value) -> bool:
    """Whether a value has one dimension of positions."""
    return len(value.space) == 1


def divisors(number: int) -> list[int]:
    """Return all divisors, the smallest first."""
    return [d for d in range(1, number + 1) if number % d == 0]
