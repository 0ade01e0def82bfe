"""Operators that move whole dims around or repeat along them."""

from __future__ import annotations

from collections.abc import Callable

from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record


def _letters(rank: int) -> list[str]:
    return [f"d{index}" for index in range(rank)]


def _permuted(order_of: Callable[[Call, int], list[int]]) -> Callable[[Call], Operator]:
    def choose(call: Call) -> Operator:
        letters = _letters(call.rank("self"))
        result = [letters[index] for index in order_of(call, len(letters))]
        return Pattern(
            targets=(call.target,),
            signature=f"{' '.join(letters)} -> {' '.join(result)}",
            pointwise=" ".join(letters),
            zero="self",
        )

    return choose


def _permutation(call: Call, rank: int) -> list[int]:
    return [d % rank for d in call.arguments["dims"]]


def _transposition(call: Call, rank: int) -> list[int]:
    order = list(range(rank))
    a, b = (call.dim(name, rank) for name in ("dim0", "dim1"))
    order[a], order[b] = order[b], order[a]
    return order


def _reversal(call: Call, rank: int) -> list[int]:
    return list(range(rank))[::-1]


def _expand(call: Call) -> Operator:
    """New dims and dims of size 1 grow; each copy is a channel of its own."""
    rank, shape, result = call.rank("self"), call.shape("self"), call.result_shapes[0]
    own: list[str] = []
    made: list[str] = []
    for index, size in enumerate(result):
        position = index - (len(result) - rank)
        if position >= 0:
            own.append("1" if shape[position] == 1 else f"d{index}")
        grown = position < 0 or shape[position] == 1
        made.append("1" if size == 1 else f"n{index}" if grown else f"d{index}")
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
    rank, shape = call.rank("self"), call.shape("self")
    counts = call.integers(argument)
    extra = len(counts) - rank
    counts = [1] * -extra + counts
    own = ["1" if size == 1 else f"d{index}" for index, size in enumerate(shape)]
    copies = ["" if count == 1 else f"n{index}" for index, count in enumerate(counts)]
    padded = ["1"] * max(extra, 0) + own
    made = [f"({n} {d})" if n and d != "1" else n or d for n, d in zip(copies, padded, strict=True)]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(own)} -> {' '.join(made)}",
        pointwise=" ".join(x for x in own if x != "1"),
        free=" ".join(x for x in copies if x),
        reasons={},
        size_lists={argument: " ".join(x or "-" for x in copies[max(-extra, 0) :])},
        zero="self",
    )


def _repeat_interleave(call: Call) -> Operator:
    """Every index is repeated: the copies are the inner factor."""
    rank, result = call.rank("self"), call.result_shapes[0]
    if call.arguments["dim"] is None:
        letters = _letters(rank)
        return Pattern(targets=(call.target,), signature=f"{' '.join(letters)} -> ({' '.join(letters)} n)", zero="self")
    at = call.dim("dim", rank)
    letters = _letters(rank)
    made = [f"({x} n)" if index == at and result[at] != call.shape("self")[at] else x for index, x in enumerate(letters)]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(letters)} -> {' '.join(made)}",
        pointwise=" ".join(letters),
        zero="self",
    )


def _rolled(call: Call) -> Operator:
    """Indices along the named dims change places: those dims are rigid."""
    letters = _letters(call.rank("self"))
    gone = call.dim_list("dims", len(letters))
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(letters)} -> {' '.join(letters)}",
        pointwise=" ".join(x for index, x in enumerate(letters) if index not in gone),
        reasons={f"d{index}": "indices change places along it" for index in gone},
        zero="self",
    )


def _prelu(call: Call) -> Operator:
    shared = call.shape("weight") in ((), (1,))
    rest = "" if call.rank("self") == 1 else "b " if not shared else ""
    slope = "1" if call.rank("weight") else ""
    signature = f"*b, {slope} -> *b" if shared else f"{rest}c *s, c -> {rest}c *s"
    return Pattern(
        targets=(call.target,), signature=signature, operands=("self", "weight"), pointwise="*b b c *s" if not shared else "*b", zero="self"
    )


RECORDS: tuple[Record, ...] = (
    Choice(targets=("aten.permute.default",), doc="permutes dims", choose=_permuted(_permutation)),
    Choice(
        targets=("aten.transpose.int", "aten.swapaxes.default", "aten.swapdims.default"), doc="swaps two dims", choose=_permuted(_transposition)
    ),
    Choice(targets=("aten.t.default", "aten.numpy_T.default"), doc="reverses dims", choose=_permuted(_reversal)),
    Choice(targets=("aten.expand.default",), doc="repeats without copying", choose=_expand),
    Choice(targets=("aten.repeat.default", "aten.tile.default"), doc="tiles", choose=_repeat),
    Choice(targets=("aten.repeat_interleave.self_int",), doc="repeats each index", choose=_repeat_interleave),
    Choice(targets=("aten.flip.default", "aten.roll.default"), doc="flips or rolls", choose=_rolled),
    Pattern(
        targets=("aten.pixel_shuffle.default",),
        signature="*b (c u v) h w -> *b c (h u) (w v)",
        pointwise="*b c",
        sizes={"u": "upscale_factor", "v": "upscale_factor"},
        reasons=dict.fromkeys("u v h w".split(), "pixel shuffle"),
        zero="self",
        doc="pixel shuffle",
    ),
    Pattern(
        targets=("aten.pixel_unshuffle.default",),
        signature="*b c (h u) (w v) -> *b (c u v) h w",
        pointwise="*b c",
        sizes={"u": "downscale_factor", "v": "downscale_factor"},
        reasons=dict.fromkeys("u v h w".split(), "pixel unshuffle"),
        zero="self",
        doc="pixel unshuffle",
    ),
    Pattern(
        targets=("aten.channel_shuffle.default", "aten.native_channel_shuffle.default"),
        signature="b (g c) *s -> b (c g) *s",
        pointwise="b g c *s",
        sizes={"g": "groups"},
        zero="self",
        doc="channel shuffle",
    ),
    Choice(targets=("aten.prelu.default",), doc="PReLU, its slope for each channel or shared", choose=_prelu),
)
