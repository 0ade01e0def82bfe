"""How two tensors are compared in the exactness tests: one number that no tolerance can talk away."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 1e-10
"""Largest accepted difference in float64, relative to the largest magnitude of the reference tensor."""

NOISE_FLOOR = 1e-3
"""A tensor much smaller than its whole group is judged against this share of the group's largest magnitude.

Some gradients are zero in exact arithmetic (the bias of a convolution in front of a batch norm in train mode), so that
their computed values are rounding noise of the group they belong to and have no digits of their own to compare.
"""


class NotFiniteError(AssertionError):
    """The reference itself produced NaN or infinity, so there is nothing to compare with."""


@dataclass(frozen=True)
class Difference:
    """How far one tensor is from its reference."""

    name: str
    error: float

    def __str__(self) -> str:
        return f"{self.name} differs from the reference, relative error {self.error:.3g}"


def largest(tensor: Tensor) -> float:
    """Return the largest magnitude in a tensor, 0 for an empty one and NaN where it holds a NaN."""
    return float(tensor.detach().abs().max()) if tensor.numel() else 0.0


def relative_error(actual: Tensor, expected: Tensor, floor: float = 0.0) -> float:
    """Return max |actual - expected| divided by max(max |expected|, floor).

    The result is infinite when shapes or dtypes differ, when either tensor holds a NaN or an infinity, and when the
    reference is zero everywhere (with no floor) while the actual tensor is not. Hence no finite tolerance accepts any
    of these. Integers and booleans must be equal.
    """
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return math.inf
    if not expected.is_floating_point():
        return 0.0 if torch.equal(actual, expected) else math.inf
    difference = largest(actual - expected)
    if not math.isfinite(difference):  # so it is if either has a NaN or an infinity: inf - inf is NaN
        return math.inf
    if difference == 0.0:
        return 0.0
    scale = max(largest(expected), floor)
    return difference / scale if scale > 0.0 else math.inf


def compare(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[Difference]:
    """Compare two groups of named tensors and return the difference of each, the largest first.

    Args:
        actual: tensors under test. A name that only one group has is an infinite difference.
        expected: the reference. `NotFiniteError` is raised where it holds a NaN or an infinity.
    """
    sizes = {name: largest(tensor) for name, tensor in expected.items() if tensor.is_floating_point()}
    for name, size in sizes.items():
        if not math.isfinite(size):
            raise NotFiniteError(f"the reference of {name} is not finite")
    floor = NOISE_FLOOR * max(sizes.values(), default=0.0)
    one_side = actual.keys() ^ expected.keys()
    found = [Difference(f"{name} (on one side only)", math.inf) for name in one_side]
    both = actual.keys() & expected.keys()
    found += [Difference(name, relative_error(actual[name], expected[name], floor)) for name in both]
    return sorted(found, key=lambda difference: (-difference.error, difference.name))


def require_equal(
    actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str, tolerance: float = TOLERANCE
) -> float:
    """Raise AssertionError that names what differs by more than the tolerance; return the largest difference else.

    Args:
        actual: tensors under test.
        expected: the reference.
        where: a description of the case for messages.
        tolerance: largest accepted relative error; see `relative_error` and `NOISE_FLOOR` for its meaning.
    """
    if not 0.0 <= tolerance < 1e-3:
        raise ValueError(f"a relative tolerance of {tolerance} would accept anything")
    found = compare(actual, expected)
    wrong = [difference for difference in found if not difference.error <= tolerance]
    if wrong:
        rest = [f"... and {len(wrong) - 8} more"] if len(wrong) > 8 else []
        raise AssertionError("\n".join([where, *map(str, wrong[:8]), *rest]))
    return found[0].error if found else 0.0
