"""Records in code, for the operators whose effect on dims a string can't say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scfx.signatures.call import Call, Dims
from scfx.signatures.record import Kept, Operator, Replacement
from scfx.terms.facts import Zeros


def no_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    """Nothing is said about zeros."""
    return tuple(Zeros.unknown(shape) for shape in call.result_shapes)


def no_change(call: Call, kept: Kept) -> Mapping[str, Any] | Replacement:
    """No argument depends on sizes."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Coded(Operator):
    """An operator given by short functions on dims.

    Attributes:
        dims: The dims of each result, from those of the operands.
        zero: What is zero in each result.
        arguments: The arguments that change when channels go, or what takes the operator's place.
    """

    dims: Callable[[Call], tuple[Dims, ...]]
    zero: Callable[[Call, Mapping[str, Zeros]], tuple[Zeros, ...]] = no_zeros
    arguments: Callable[[Call, Kept], Mapping[str, Any] | Replacement] = no_change

    def infer(self, call: Call) -> tuple[Dims, ...]:
        return self.dims(call)

    def zeros(self, call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        return self.zero(call, facts)

    def fixed(self, call: Call, fixed: Mapping[str, Zeros], zeros: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        """Of entries that only change places, by sizes alone, what is fixed goes where what is zero would go."""
        return self.zero(call, fixed) if self.moves(call) else super().fixed(call, fixed, zeros)

    def resize(self, call: Call, kept: Kept) -> Replacement | None:
        changed = self.arguments(call, kept)
        return changed if isinstance(changed, Replacement) else Replacement(changed) if changed else None
