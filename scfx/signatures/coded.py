"""Records in code, for the operators whose effect on dims a string can't say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from scfx.facts import Zeros
from scfx.signatures.call import Call, Dims
from scfx.signatures.record import Kept, Operator, Replacement


def no_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    """Nothing is said about zeros."""
    return tuple(Zeros.unknown(shape) for shape in call.result_shapes)


def no_change(call: Call, kept: Kept) -> Mapping[str, Any] | Replacement:
    """No argument depends on sizes."""
    return {}


def _is_view(call: Call) -> bool:
    """Whether the operator's schema says that each result shares the memory of an operand, and that none is written."""
    target = call.node.target
    if not isinstance(target, torch._ops.OpOverload) or target._schema.is_mutable:
        return False
    return all(made.alias_info is not None for made in target._schema.returns)


@dataclass(frozen=True, kw_only=True)
class Coded(Operator):
    """An operator given by short functions on dims.

    Attributes:
        dims: The dims of each result, from those of the operands.
        zero: What is zero in each result.
        arguments: The arguments that change when channels go, or what takes the operator's place.
        copies: Whether each entry of a result is an entry of an operand, at a place that depends on sizes alone. Of
            operators whose schema says that they return views this is known.
    """

    dims: Callable[[Call], tuple[Dims, ...]]
    zero: Callable[[Call, Mapping[str, Zeros]], tuple[Zeros, ...]] = no_zeros
    arguments: Callable[[Call, Kept], Mapping[str, Any] | Replacement] = no_change
    copies: bool = False

    def infer(self, call: Call) -> tuple[Dims, ...]:
        return self.dims(call)

    def zeros(self, call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        return self.zero(call, facts)

    def fixed(self, call: Call, fixed: Mapping[str, Zeros], zeros: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        """Of entries that only change places, what is fixed goes where what is zero would go."""
        return self.zero(call, fixed) if self.copies or _is_view(call) else super().fixed(call, fixed, zeros)

    def resize(self, call: Call, kept: Kept) -> Replacement | None:
        changed = self.arguments(call, kept)
        return changed if isinstance(changed, Replacement) else Replacement(changed) if changed else None
