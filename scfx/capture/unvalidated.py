"""Distributions without their checks: each is a branch on values, which capture cannot follow, and only ever raises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch.distributions import Distribution


@contextlib.contextmanager
def unvalidated() -> Iterator[None]:
    """Let torch.distributions take its arguments as they are, but where a model itself asks for the checks."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)
