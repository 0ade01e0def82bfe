"""Operators that make new tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scfx.signatures.call import Call, Dims
from scfx.signatures.coded import Coded, no_zeros
from scfx.signatures.record import Kept, Record
from scfx.signatures.resizing import resized_list
from scfx.terms.facts import Zeros, unknown


def _made(call: Call) -> tuple[Dims, ...]:
    return (tuple(call.fresh(size) for size in call.result_shapes[0]),)


def _numbered(call: Call) -> tuple[Dims, ...]:
    return (tuple(call.fresh(size, "its values depend on the place") for size in call.result_shapes[0]),)


def _zero(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    whole = call.arguments.get("fill_value", call.arguments.get("s", 0)) in (0, False)
    return (Zeros(tuple(map(unknown, call.result_shapes[0])), whole),)


def _sizes(call: Call, kept: Kept) -> Mapping[str, Any]:
    return resized_list(call, "size", list(call.results[0]), kept)


def _filled(
    *names: str, zero: Callable[[Call, Mapping[str, Zeros]], tuple[Zeros, ...]] = no_zeros, samples: tuple[str, ...]
) -> Coded:
    return Coded(
        targets=tuple(f"aten.{name}" for name in names),
        doc="a new tensor",
        dims=_made,
        zero=zero,
        arguments=_sizes,
        makes_zeros=zero is _zero,
        samples=samples,
    )


RECORDS: tuple[Record, ...] = (
    _filled("zeros.default", zero=_zero, samples=("op([3, 4])", "op([B, 4])")),
    _filled("full.default", zero=_zero, samples=("op([3, 4], 0)", "op([B, 4], 1.5)")),
    _filled("new_zeros.default", zero=_zero, samples=("op(t(B, 5), [B, 3, 4])",)),
    _filled("new_full.default", zero=_zero, samples=("op(t(B, 5), [3, 4], 0)", "op(t(5), [3], 1.0)")),
    _filled(
        "ones.default", "rand.default", "randn.default", "empty.memory_format", samples=("op([3, 4])", "op([B, 4])")
    ),
    _filled("new_ones.default", "new_empty.default", samples=("op(t(B, 5), [B, 3, 4])",)),
    Coded(
        targets=("aten.scalar_tensor.default",),
        doc="a number",
        dims=_made,
        zero=_zero,
        makes_zeros=True,
        samples=("op(0.0)", "op(2.0)"),
    ),
    Coded(
        targets=(
            "aten.arange.default",
            "aten.arange.start",
            "aten.arange.start_step",
            "aten.linspace.default",
            "aten.eye.default",
            "aten.eye.m",
            "aten.randperm.default",
        ),
        doc="numbers that depend on their place",
        dims=_numbered,
        samples=(
            "arange.default(B)",
            "arange.start(1, 5)",
            "arange.start_step(0, 6, 2)",
            "linspace.default(0, 1, 5)",
            "eye.default(3)",
            "eye.m(3, 4)",
            "randperm.default(5)",
        ),
    ),
)
