"""How two tensors are compared in the exactness tests: one number that no tolerance can talk away."""

from collections.abc import Mapping
from dataclasses import dataclass

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
class Mismatch:
    """One tensor that differs from its reference."""

    where: str
    name: str
    error: float

    def __str__(self) -> str:
        return f"{self.where}: {self.name} differs from the reference, relative error {self.error:.3g}"


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
        return float("inf")
    if not expected.is_floating_point():
        return 0.0 if bool((actual == expected).all()) else float("inf")
    if not bool(actual.isfinite().all()) or not bool(expected.isfinite().all()):
        return float("inf")
    difference = largest(actual - expected)
    if difference == 0.0:
        return 0.0
    scale = max(largest(expected), floor)
    return difference / scale if scale > 0.0 else float("inf")


def compare(
    actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str, tolerance: float = TOLERANCE
) -> list[Mismatch]:
    """Compare two groups of named tensors and return every mismatch, the worst first.

    Args:
        actual: tensors under test; their names must be those of the reference.
        expected: the reference. `NotFiniteError` is raised where it holds a NaN or an infinity.
        where: a description of the case, put in front of every mismatch.
        tolerance: largest accepted relative error; see `relative_error` and `NOISE_FLOOR` for its meaning.
    """
    if not 0.0 <= tolerance < 1e-3:
        raise ValueError(f"a relative tolerance of {tolerance} would accept anything")
    for name, tensor in expected.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise NotFiniteError(f"{where}: the reference of {name} is not finite")
    mismatches = [
        Mismatch(where, f"{name} (on one side only)", float("inf")) for name in actual.keys() ^ expected.keys()
    ]
    magnitude = max((largest(tensor) for tensor in expected.values() if tensor.is_floating_point()), default=0.0)
    for name in actual.keys() & expected.keys():
        error = relative_error(actual[name], expected[name], NOISE_FLOOR * magnitude)
        if not error <= tolerance:
            mismatches.append(Mismatch(where, name, error))
    return sorted(mismatches, key=lambda mismatch: (-mismatch.error, mismatch.name))


def require_equal(
    actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str, tolerance: float = TOLERANCE
) -> float:
    """Raise AssertionError naming the worst mismatches of `compare`; return the largest relative error otherwise."""
    mismatches = compare(actual, expected, where, tolerance)
    if mismatches:
        rest = f"\n... and {len(mismatches) - 8} more" if len(mismatches) > 8 else ""
        raise AssertionError("\n".join(map(str, mismatches[:8])) + rest)
    magnitude = max((largest(tensor) for tensor in expected.values() if tensor.is_floating_point()), default=0.0)
    return max((relative_error(actual[k], expected[k], NOISE_FLOOR * magnitude) for k in expected), default=0.0)
