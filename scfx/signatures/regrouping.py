"""Operators that see the same row-major elements through other dims: view, reshape, flatten, unflatten, squeeze."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scfx.signatures.call import Call, Dims
from scfx.signatures.coded import Coded
from scfx.signatures.record import Kept, Record
from scfx.signatures.resizing import resized_list
from scfx.terms.dims import ONE, Dim, factors, product
from scfx.terms.facts import Zeros, regroup


def _regrouped(call: Call) -> tuple[Dims, ...]:
    """Dims of the result: fresh ones, whose row-major product is that of the operand's dims.

    Wherever the products of the sizes so far agree, what lies between is one group, so that what has nothing to do with
    the regrouping (batch, space) is left alone.
    """
    source, shape = list(call.operands["self"]), list(call.result_shapes[0])
    if 0 in shape:
        for dim in source:  # how the dims of nothing are regrouped can't be read off their sizes
            call.pin(dim, "reshape of nothing")
        return (tuple(call.fresh(size, "reshape of nothing") for size in shape),)
    result: list[Dim] = []
    dims: list[Dim] = []
    sizes: list[int] = []
    left = right = 1
    while source or shape:
        if left <= right and source:
            dims.append(source.pop(0))
            left *= dims[-1].size
        else:
            sizes.append(shape.pop(0))
            right *= sizes[-1]
        if left == right and dims and sizes:
            result.extend(_group(call, dims, sizes))
            dims, sizes = [], []
    return ((*result, *_group(call, dims, sizes)),)


def _group(call: Call, dims: list[Dim], sizes: list[int]) -> list[Dim]:
    if sum(size != 1 for size in sizes) <= 1:
        return [product(*dims) if size != 1 else ONE for size in sizes]
    made = [call.fresh(size) for size in sizes]
    call.unify(product(*dims), product(*made))
    return made


def _squeezed(call: Call) -> tuple[Dims, ...]:
    dims = call.operands["self"]
    for at in call.dim_list("dim", len(dims)) if dims else ():
        call.pin(dims[at], "squeeze names it, which would drop it if one channel were left")
    return _regrouped(call)


def _regrouped_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand = facts["self"]
    if 0 in call.result_shapes[0]:
        return (Zeros.unknown(call.result_shapes[0]),)
    groups = [tuple(factor.size for factor in factors(dim)) or (1,) for dim in call.results[0]]
    return (Zeros.of(regroup(operand.dims, groups), operand.whole),)


def _new_sizes(argument: str, call: Call, kept: Kept) -> Mapping[str, Any]:
    return resized_list(call, argument, list(call.results[0]), kept)


def _unflattened_sizes(call: Call, kept: Kept) -> Mapping[str, Any]:
    at = call.dim("dim", call.rank("self"))
    return resized_list(call, "sizes", list(call.results[0][at : at + len(call.arguments["sizes"])]), kept)


_SAMPLES = (
    "op(t(B, 12, 2), [B, 3, 4, 2])",
    "op(t(B, 3, 4, 2), [B, -1, 2])",
    "op(t(B, 3, 4), [B * 3, 4])",
    "op(t(B, 12), [-1, 3, 2, 2])",
    "op(t(6, 4), [4, 6])",
    "op(t(B, 6, 1, 1), [B, 6])",
    "op(t(2, 3), [6])",
    "op(t(1), [])",
    "op(t(2, 1, 6), [1, 2, 2, 1, 3])",
)


def _sized(argument: str, *targets: str) -> Coded:
    return Coded(
        targets=targets,
        doc="regroups dims",
        dims=_regrouped,
        zero=_regrouped_zeros,
        arguments=lambda call, kept: _new_sizes(argument, call, kept),
        samples=_SAMPLES,
        refused=("op(t(0, 8), [0, 2, 4])",),
    )


RECORDS: tuple[Record, ...] = (
    _sized("size", "aten.view.default", "aten._unsafe_view.default"),
    _sized("shape", "aten.reshape.default"),
    Coded(
        targets=(
            "aten.flatten.using_ints",
            "aten.unsqueeze.default",
            "aten.ravel.default",
            "aten.atleast_1d.default",
            "aten.atleast_2d.default",
            "aten.atleast_3d.default",
        ),
        doc="merges or adds dims",
        dims=_regrouped,
        zero=_regrouped_zeros,
        samples=(
            "flatten.using_ints(t(B, 3, 2, 2), 1)",
            "flatten.using_ints(t(B, 3, 2, 2), 1, 2)",
            "flatten.using_ints(t(B, 3, 4))",
            "unsqueeze.default(t(B, 4), -1)",
            "unsqueeze.default(t(), 0)",
            "ravel.default(t(3, 4))",
            "atleast_1d.default(t())",
            "atleast_2d.default(t(4))",
            "atleast_3d.default(t(3, 4))",
        ),
    ),
    Coded(
        targets=("aten.squeeze.dims", "aten.squeeze.dim"),
        doc="drops dims",
        dims=_squeezed,
        zero=_regrouped_zeros,
        samples=(
            "squeeze.dims(t(B, 4, 1, 1), [2, -1])",
            "squeeze.dims(t(B, 1, 4, 3), [1, 2])",
            "squeeze.dim(t(B, 4, 1), -1)",
            "squeeze.dim(t(B, 4, 3), 1)",
            "squeeze.dim(t(), 0)",
        ),
    ),
    Coded(
        targets=("aten.unflatten.int",),
        doc="splits a dim",
        dims=_regrouped,
        zero=_regrouped_zeros,
        arguments=_unflattened_sizes,
        samples=("op(t(B, 12), 1, [3, 4])", "op(t(B, 12, 2), -2, [2, -1, 3])", "op(t(B, 4), 1, [4])"),
    ),
)
