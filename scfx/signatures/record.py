"""One record per operator: everything known of it.

A record answers for a call which dims line up (`infer`), where channels meet (the sinks `infer` adds), which results
are zero where operands are (`zeros`), or the same for every input (`fixed`), how arguments change when channels go
(`resize`), which operands are weights (`weights`) and how often each is used (`repeats`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from scfx.signatures.call import Call, Dims, is_view
from scfx.terms.dims import Dim
from scfx.terms.facts import Mask, Zeros

#: How many channels of a dim stay.
Kept = Callable[[Dim], "Mask"]


@dataclass(frozen=True)
class Replacement:
    """What a call becomes when channels go: new values of some arguments and, where given, another operator."""

    arguments: Mapping[str, Any]
    target: str | None = None


@dataclass(frozen=True, kw_only=True)
class Record(ABC):
    """The entry of one operator, or of several that are alike, in the rule table.

    Attributes:
        targets: Qualified names, such as "aten.relu.default".
        doc: One line for the operator table.
        samples: Calls as Python expressions (tests/signatures/samples.py says how to read them), over which the generic
            test slices operands and compares.
        refused: Calls that must pin what they touch.
    """

    targets: tuple[str, ...]
    doc: str = ""
    samples: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @abstractmethod
    def for_call(self, call: Call) -> Operator:
        """What is known of this very call."""


@dataclass(frozen=True, kw_only=True)
class Choice(Record):
    """A record whose rule depends on the arguments or ranks of the call.

    Attributes:
        choose: Finds the rule of a call.
        usual: The rule of the usual call, for the operator table.
    """

    choose: Callable[[Call], Operator]
    usual: Operator | None = None

    def for_call(self, call: Call) -> Operator:
        return self.choose(call)


@dataclass(frozen=True, kw_only=True)
class Operator(Record):
    """What is known of an operator, whatever its arguments are.

    Attributes:
        makes_zeros: Whether a result may be known to be zero where nothing is known of any operand.
        copies: Whether each entry of a result is an entry of an operand. Of operators whose schema says that they
            return views this is known.
    """

    makes_zeros: bool = True
    copies: bool = False

    def for_call(self, call: Call) -> Operator:
        return self

    @abstractmethod
    def infer(self, call: Call) -> tuple[Dims, ...]:
        """Unifies the dims of the operands, adds sinks to the call and returns the dims of each result."""

    @abstractmethod
    def zeros(self, call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        """What is zero in each result, given what is zero in the operands."""

    def sink_zeros(self, call: Call, facts: Mapping[str, Zeros]) -> Mapping[str, Mask | None]:
        """For each sink's letter, the channels that can go without a trace."""
        return {}

    def fixed(self, call: Call, fixed: Mapping[str, Zeros], zeros: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        """Where each result is the same whatever the model's inputs are, given where the operands are, or are zero.

        What is said by `Zeros` here is "fixed" in place of "zero". Saying nothing is always right.
        """
        return tuple(map(Zeros.unknown, call.result_shapes))

    def resize(self, call: Call, kept: Kept) -> Replacement | None:
        """The arguments that change when only some channels of the operands are kept; None: no argument does."""
        return None

    def weights(self, call: Call) -> Mapping[str, tuple[tuple[tuple[bool, int], ...], ...]]:
        """Operands that are weights to quantize: for each of its dims the row-major factors (makes output?, size)."""
        return {}

    def repeats(self, call: Call) -> Mapping[str, Dims]:
        """For each weight that the operator multiplies by, the dims along which it does so again with each entry.

        The entries of the weight times these sizes, over those of `shares`, are the operator's multiply-accumulates.
        """
        return {}

    def shares(self, call: Call) -> Mapping[str, Dims]:
        """For each such weight, dims of its own that share out the times: each time has one index of them."""
        return {}

    def moves(self, call: Call) -> bool:
        """Whether each entry of a result is an entry of an operand: it has been moved or repeated, and no more."""
        return self.copies or is_view(call)

    def factors(self, call: Call) -> Collection[str]:
        """Operands that only scale another one: where that is zero, the scale doesn't matter."""
        return ()

    def norm_scales(self, call: Call) -> Collection[str]:
        """Operands that scale what is never zero, whatever the other operands are."""
        return ()
