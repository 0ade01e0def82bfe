"""Operators that see the same row-major elements through other dimensions: view, reshape, flatten, unflatten, repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scfx.dims import ONE, Dim, factors, product
from scfx.facts import Fact, Zeros, regroup
from scfx.signatures.call import Call, Dims
from scfx.signatures.coded import Coded
from scfx.signatures.record import Kept, Record
from scfx.signatures.resizing import resized_list


def _regrouped(call: Call) -> tuple[Dims, ...]:
    """Dims of the result: fresh ones, whose row-major product is that of the operand's dims.

    Dims that are the same before and after are matched one by one first, so that what has nothing to do with the regrouping
    (batch, space) is left alone.
    """
    source, shape = list(call.operands["self"]), call.result_shapes[0]
    if 0 in shape:
        return (tuple(call.fresh(size, "reshape of nothing") for size in shape),)
    result: list[Dim] = []
    pending: list[Dim] = []
    group: list[int] = []
    left = right = 1
    sizes = list(shape)
    # Walk both shapes; wherever the products so far agree, what lies between is one closed group.
    while source or sizes:
        if left <= right and source:
            dim = source.pop(0)
            pending.append(dim)
            left *= dim.size
        elif sizes:
            group.append(sizes.pop(0))
            right *= group[-1]
        if left == right and pending and group:
            result.extend(_group(call, pending, group))
            pending, group = [], []
    result.extend(_group(call, pending, group) if group or pending else [])
    return (tuple(result),)


def _group(call: Call, dims: list[Dim], sizes: list[int]) -> list[Dim]:
    real = [size for size in sizes if size != 1]
    if len(real) <= 1:
        whole = product(*dims)
        return [whole if size != 1 else ONE for size in sizes]
    made = [call.fresh(size) for size in sizes]
    call.unify(product(*dims), product(*made))
    return made


def _factor_sizes(dim: Dim) -> tuple[int, ...]:
    return tuple(factor.size for factor in factors(dim)) or (1,)


def _regrouped_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    operand = facts["self"]
    source = [Fact(fact.sizes, fact.masks) for fact in operand.dims]
    if 0 in call.result_shapes[0]:
        return (Zeros.unknown(call.result_shapes[0]),)
    result = regroup(source, [_factor_sizes(dim) for dim in call.results[0]])
    return (Zeros.of(result, operand.whole),)


def _new_sizes(call: Call, kept: Kept) -> Mapping[str, Any]:
    return resized_list(call, _LISTS[call.target], list(call.results[0]), kept)


def _unflattened_sizes(call: Call, kept: Kept) -> Mapping[str, Any]:
    at = call.dim("dim", call.rank("self"))
    return resized_list(call, "sizes", list(call.results[0][at : at + len(call.arguments["sizes"])]), kept)


_LISTS = {"aten.view.default": "size", "aten.reshape.default": "shape", "aten._unsafe_view.default": "size"}


RECORDS: tuple[Record, ...] = (
    Coded(targets=tuple(_LISTS), doc="regroups dims", dims=_regrouped, zero=_regrouped_zeros, arguments=_new_sizes),
    Coded(
        targets=("aten.flatten.using_ints", "aten.squeeze.dims", "aten.squeeze.dim", "aten.unsqueeze.default", "aten.ravel.default"),
        doc="merges, drops or adds dims",
        dims=_regrouped,
        zero=_regrouped_zeros,
    ),
    Coded(
        targets=("aten.unflatten.int",), doc="splits a dim", dims=_regrouped, zero=_regrouped_zeros, arguments=_unflattened_sizes
    ),
)
