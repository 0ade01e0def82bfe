"""Operators that repeat along dims: expand, repeat, tile, repeat_interleave. Each copy is a channel of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scfx.signatures.call import Call, Dims
from scfx.signatures.coded import Coded
from scfx.signatures.elementwise import POINTWISE
from scfx.signatures.pattern import Pattern
from scfx.signatures.rearranging import letters_of
from scfx.signatures.record import Choice, Kept, Operator, Record, Replacement
from scfx.signatures.resizing import kept_size
from scfx.terms.dims import ONE
from scfx.terms.facts import Zeros, unknown


def _expand(call: Call) -> Operator:
    """New dims and dims of size 1 grow."""
    shape, result = call.shape("self"), call.result_shapes[0]
    new = len(result) - len(shape)
    own = ["1" if size == 1 else f"d{index}" for index, size in enumerate(shape)]
    made = [
        "1" if size == 1 else f"n{index}" if index < new or shape[index - new] == 1 else own[index - new]
        for index, size in enumerate(result)
    ]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(own)} -> {' '.join(made)}",
        pointwise=" ".join(x for x in own if x != "1"),
        free=" ".join(x for x in made if x[0] == "n"),
        size_lists={"size": "result"},
        zero="self",
    )


def _repeat(call: Call) -> Operator:
    """Dims are tiled: the copies are the outer factor."""
    argument = "repeats" if "repeats" in call.arguments else "dims"
    shape, counts = call.shape("self"), call.integers(argument)
    rank = max(len(shape), len(counts))
    left_out = rank - len(counts)
    own = ["1"] * (rank - len(shape)) + ["1" if size == 1 else f"d{index}" for index, size in enumerate(shape)]
    copies = ["1"] * left_out + ["1" if count == 1 else f"n{index}" for index, count in enumerate(counts)]
    made = [n if d == "1" else d if n == "1" else f"({n} {d})" for n, d in zip(copies, own, strict=True)]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(own[rank - len(shape) :])} -> {' '.join(made)}",
        pointwise=" ".join(x for x in own if x != "1"),
        free=" ".join(x for x in copies if x != "1"),
        size_lists={argument: " ".join(copies[left_out:])},
        zero="self",
    )


@dataclass(frozen=True, kw_only=True)
class _Interleaving(Pattern):
    """The size that comes out may be given to spare a look at the repeats: one that no longer holds is left out."""

    def resize(self, call: Call, kept: Kept) -> Replacement | None:
        change = super().resize(call, kept)
        grown = call.results[0][0 if call.arguments["dim"] is None else call.dim("dim", call.rank("self"))]
        if call.arguments["output_size"] is None or kept_size(grown, kept) == grown.size:
            return change
        return Replacement({**(change.arguments if change else {}), "output_size": None})


def _repeat_interleave(call: Call) -> Operator:
    """Every index is repeated: the copies are the inner factor."""
    letters = letters_of(call.rank("self"))
    at = None if call.arguments["dim"] is None else call.dim("dim", len(letters))
    made = [f"({x} n)" if index == at else x for index, x in enumerate(letters)]
    return _Interleaving(
        targets=(call.target,),
        signature=f"{' '.join(letters)} -> " + (f"({' '.join(letters)} n)" if at is None else " ".join(made)),
        pointwise=" ".join(letters),
        free="n",
        sizes={"n": "repeats"},
        zero="self",
    )


def _broadcast_together(call: Call) -> tuple[Dims, ...]:
    """All results have the dims that element-wise operators on the operands would make."""
    return POINTWISE.infer(call)


def _broadcast_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    made: list[Zeros] = []
    for operand, shape in zip(facts.values(), call.result_shapes, strict=True):
        new = len(shape) - len(operand.dims)
        known = [
            operand.dims[d - new] if d >= new and operand.dims[d - new].size == n else unknown(n)
            for d, n in enumerate(shape)
        ]
        made.append(Zeros.of(known, operand.whole))
    return tuple(made)


def _grid(call: Call) -> tuple[Dims, ...]:
    """Every result has a dim for each operand; "xy" swaps the first two."""
    dims = [dim for group in call.operands.values() for dim in group or (ONE,)]
    if call.arguments.get("indexing") == "xy":
        dims[:2] = dims[1::-1]
    return (tuple(dims),) * len(call.result_shapes)


def _grid_zeros(call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
    places = list(range(len(facts)))
    if call.arguments.get("indexing") == "xy":
        places[:2] = places[1::-1]
    empty = Zeros.unknown(call.result_shapes[0])
    return tuple(
        empty.replaced(place, zeros.fact(0)) if zeros.dims else Zeros.of(empty.dims, zeros.whole)
        for place, zeros in zip(places, facts.values(), strict=True)
    )


def _expand_as(call: Call) -> Operator:
    letters = letters_of(call.rank("other"))
    own = letters[len(letters) - call.rank("self") :]
    sizes = dict(zip(letters, call.shape("other"), strict=True))
    given = " ".join("1" if size != sizes[x] else x for x, size in zip(own, call.shape("self"), strict=True))
    whole = " ".join(letters)
    return Pattern(
        targets=(call.target,),
        signature=f"{given}, {whole} -> {whole}",
        operands=("self", "other"),
        pointwise=whole,
        zero="self",
    )


RECORDS: tuple[Record, ...] = (
    Choice(
        targets=("aten.expand.default",),
        doc="repeats without copying",
        choose=_expand,
        samples=(
            "op(t(4, 1), [B, 4, 5])",
            "op(t(B, 1, 5), [-1, 4, -1])",
            "op(t(4), [3, 4])",
            "op(t(), [2, 3])",
            "op(t(3, 1, 2), [3, 1, 2])",
        ),
    ),
    Choice(
        targets=("aten.expand_as.default",),
        doc="repeats without copying, up to another tensor's shape",
        choose=_expand_as,
        samples=("op(t(4, 1), t(B, 4, 5))", "op(t(B, 1, 5), t(B, 4, 5))", "op(t(), t(2, 3))", "op(t(3, 1), t(3, 1))"),
    ),
    Choice(
        targets=("aten.repeat.default", "aten.tile.default"),
        doc="tiles",
        choose=_repeat,
        samples=(
            "op(t(B, 4), [1, 3])",
            "op(t(4, 1), [2, 1, 5])",
            "op(t(1, 4), [B, 1])",
            "op(t(3, 4), [2, 2])",
            "tile.default(t(3, 4, 2), [2])",
            "tile.default(t(3, 4), [1])",
            "op(t(), [3])",
        ),
    ),
    Choice(
        targets=("aten.repeat_interleave.self_int",),
        doc="repeats each index",
        choose=_repeat_interleave,
        samples=(
            "op(t(B, 4, 3), 2, 1)",
            "op(t(3, 4), 2)",
            "op(t(B, 4), 1, -1)",
            "op(t(4, 1), 3, 1)",
            "op(t(B, 4, 3), 2, 1, output_size=8)",
        ),
    ),
    Coded(
        targets=("aten.broadcast_tensors.default",),
        doc="broadcasts operands against each other",
        dims=_broadcast_together,
        zero=_broadcast_zeros,
        samples=("op([t(B, 4, 5), t(4, 1), t(1, 5)])",),
    ),
    Coded(
        targets=("aten.meshgrid.default", "aten.meshgrid.indexing"),
        doc="a grid from the places along each of its dims",
        dims=_grid,
        zero=_grid_zeros,
        copies=True,
        samples=(
            "meshgrid.default([t(4), t(B), t(5)])",
            "meshgrid.default([t(4), t(), t(1)])",
            "meshgrid.indexing([t(3), t(4), t(5)], indexing='xy')",
            "meshgrid.indexing([t(3)], indexing='xy')",
        ),
    ),
)
