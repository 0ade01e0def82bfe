"""Operators that move whole dims around, or channels within one."""

from __future__ import annotations

from collections.abc import Callable

from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record


def letters_of(rank: int) -> list[str]:
    """One letter for each of so many dims."""
    return [f"d{index}" for index in range(rank)]


def _permuted(order_of: Callable[[Call, int], list[int]]) -> Callable[[Call], Operator]:
    def choose(call: Call) -> Operator:
        letters = letters_of(call.rank("self"))
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
    a, b = (call.dim(name, rank) for name in call.arguments if name != "self")
    if rank:
        order[a], order[b] = order[b], order[a]
    return order


def _reversal(call: Call, rank: int) -> list[int]:
    return list(range(rank))[::-1]


def _movement(call: Call, rank: int) -> list[int]:
    given = [call.arguments[name] for name in ("source", "destination")]
    sources, places = ([int(d) % rank for d in ([one] if isinstance(one, int) else one)] for one in given)
    rest = iter(d for d in range(rank) if d not in sources)
    moved = dict(zip(places, sources, strict=True))
    return [moved[d] if d in moved else next(rest) for d in range(rank)]


def _last_two(call: Call, rank: int) -> list[int]:
    return [*range(rank - 2), rank - 1, rank - 2]


def _disordered(call: Call) -> Operator:
    """Indices along the named dims change places, or some become zero: those dims are rigid."""
    letters = letters_of(call.rank("self"))
    gone = call.dim_list("dims", len(letters)) if "dims" in call.arguments else range(len(letters))[-2:]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(letters)} -> {' '.join(letters)}",
        pointwise=" ".join(x for index, x in enumerate(letters) if index not in gone),
        reasons={f"d{index}": f"{call.target} works along it" for index in gone},
        zero="self",
    )


def _turned(call: Call) -> Operator:
    """rot90 and diagonal: two dims become new ones."""
    letters = letters_of(call.rank("self"))
    names = ("dims",) if "dims" in call.arguments else ("dim1", "dim2")
    pair = [d for name in names for d in call.dim_list(name, len(letters))]
    rest = [x for index, x in enumerate(letters) if index not in pair]
    turned = [f"t{index}" if index in pair else x for index, x in enumerate(letters)]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(letters)} -> {' '.join(turned if len(names) == 1 else [*rest, 't'])}",
        pointwise=" ".join(rest),
        zero="self",
    )


def _prelu(call: Call) -> Operator:
    shared = call.shape("weight") in ((), (1,))
    slope = "1" if call.rank("weight") else ""
    return Pattern(
        targets=(call.target,),
        signature=f"*b, {slope} -> *b" if shared else "b c *s, c -> b c *s",
        operands=("self", "weight"),
        pointwise="*b" if shared else "b c *s",
        zero="self",
    )


RECORDS: tuple[Record, ...] = (
    Choice(
        targets=("aten.permute.default",),
        doc="permutes dims",
        choose=_permuted(_permutation),
        samples=("op(t(B, 2, 3, 4), [0, 2, 3, 1])", "op(t(2, 3), [-1, 0])", "op(t(3), [0])"),
    ),
    Choice(
        targets=("aten.transpose.int", "aten.swapaxes.default", "aten.swapdims.default"),
        doc="swaps two dims",
        choose=_permuted(_transposition),
        samples=("op(t(B, 2, 3), 1, -1)", "op(t(4), 0, -1)"),
    ),
    Choice(
        targets=("aten.movedim.int", "aten.moveaxis.int", "aten.movedim.intlist", "aten.moveaxis.intlist"),
        doc="moves dims",
        choose=_permuted(_movement),
        samples=(
            "movedim.int(t(B, 2, 3), 1, -1)",
            "moveaxis.int(t(B, 2, 3), -1, 0)",
            "movedim.intlist(t(B, 2, 3, 4), [0, -1], [1, 0])",
            "moveaxis.intlist(t(2, 3), [1], [0])",
        ),
    ),
    Choice(
        targets=("aten.t.default", "aten.numpy_T.default"),
        doc="reverses dims",
        choose=_permuted(_reversal),
        samples=("op(t(2, 3))", "op(t(4))"),
    ),
    Choice(
        targets=("aten.mT.default", "aten.adjoint.default"),
        doc="swaps the last two dims",
        choose=_permuted(_last_two),
        samples=("op(t(B, 2, 3))",),
    ),
    Choice(
        targets=("aten.rot90.default", "aten.diagonal.default"),
        doc="turns, or takes the diagonal",
        choose=_turned,
        samples=(
            "rot90.default(t(B, 4, 3, 5), 1, [2, 3])",
            "rot90.default(t(3, 4), 2)",
            "diagonal.default(t(B, 4, 3, 5), 1, 2, -1)",
            "diagonal.default(t(3, 3, 4))",
        ),
    ),
    Choice(
        targets=("aten.tril.default", "aten.triu.default"),
        doc="one triangle of matrices",
        choose=_disordered,
        samples=("op(t(B, 3, 4, 4))", "op(t(4, 4), 1)"),
    ),
    Pattern(
        targets=("aten.pixel_shuffle.default",),
        signature="*b (c u v) h w -> *b c (h u) (w v)",
        pointwise="*b c",
        sizes={"u": "upscale_factor", "v": "upscale_factor"},
        reasons=dict.fromkeys("u v h w".split(), "pixel shuffle"),
        zero="self",
        doc="pixel shuffle",
        samples=("op(t(B, 12, 3, 4), 2)", "op(t(8, 3, 3), 2)"),
    ),
    Pattern(
        targets=("aten.pixel_unshuffle.default",),
        signature="*b c (h u) (w v) -> *b (c u v) h w",
        pointwise="*b c",
        sizes={"u": "downscale_factor", "v": "downscale_factor"},
        reasons=dict.fromkeys("u v h w".split(), "pixel unshuffle"),
        zero="self",
        doc="pixel unshuffle",
        samples=("op(t(B, 3, 4, 6), 2)", "op(t(2, 9, 3), 3)"),
    ),
    Pattern(
        targets=("aten.channel_shuffle.default", "aten.native_channel_shuffle.default"),
        signature="b (g c) *s -> b (c g) *s",
        pointwise="b g c *s",
        sizes={"g": "groups"},
        zero="self",
        doc="channel shuffle",
        samples=("op(t(2, 12, 3, 3), 3)",),
    ),
    Choice(
        targets=("aten.prelu.default",),
        doc="PReLU, its slope for each channel or shared",
        choose=_prelu,
        samples=(
            "op(t(B, 4, 5), t(4))",
            "op(t(B, 4), t(4))",
            "op(t(B, 4, 5), t(1))",
            "op(t(4), t(1))",
            "op(t(3, 4), t())",
        ),
    ),
)
