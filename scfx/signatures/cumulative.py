"""Operators that mix what lies along one dim, which is rigid: the softmax family, cumulations, orders."""

from __future__ import annotations

from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.rearranging import letters_of
from scfx.signatures.record import Choice, Operator, Record


def _along(
    *names: str, results: int = 1, zero: str = "self", argument: str = "dim", doc: str, samples: tuple[str, ...]
) -> Choice:
    """The shape stays, or that one dim changes its size, or it is split in two."""

    def choose(call: Call) -> Operator:
        rank = call.rank("self")
        dim = call.dim(argument, rank)
        letters = [f"d{index}" for index in range(rank)]
        changed = ["t" if index == dim else x for index, x in enumerate(letters)]
        extra = ["k"] * (len(call.result_shapes[0]) - rank)
        return Pattern(
            targets=(call.target,),
            signature=f"{' '.join(letters)} -> " + ", ".join([" ".join(changed + extra)] * results),
            pointwise=" ".join(x for x in changed if x != "t"),
            reasons=dict.fromkeys((f"d{dim}", "t", "k"), f"{doc} along it"),
            zero=zero,
        )

    return Choice(targets=tuple(f"aten.{name}" for name in names), doc=doc, choose=choose, samples=samples)


def _difference(call: Call) -> Operator:
    """Neighbours along one dim, which may grow by what is put in front and behind first."""
    letters = letters_of(call.rank("self"))
    dim = call.dim("dim", len(letters))
    ends = {name: f"{name[0]}{dim}" for name in ("self", "prepend", "append") if name in call.operands}
    sides = [" ".join([*letters[:dim], end, *letters[dim + 1 :]]) for end in (*ends.values(), "t")]
    return Pattern(
        targets=(call.target,),
        signature=f"{', '.join(sides[:-1])} -> {sides[-1]}",
        operands=tuple(ends),
        pointwise=" ".join(x for index, x in enumerate(letters) if index != dim),
        reasons=dict.fromkeys((*ends.values(), "t"), "difference along it"),
        zero=" + ".join(ends),
    )


_DIM = ("op(t(B, 4, 5), 1)", "op(t(B, 4, 5), -1)", "op(t(4), 0)")

RECORDS: tuple[Record, ...] = (
    _along("softmax.int", "log_softmax.int", zero="", doc="softmax", samples=_DIM),
    _along("_softmax.default", "_log_softmax.default", zero="", doc="softmax", samples=("op(t(B, 4, 5), 1, False)",)),
    _along("cumsum.default", "cumprod.default", doc="cumulation", samples=_DIM),
    _along("logcumsumexp.default", zero="", doc="cumulation", samples=_DIM),
    _along("cummax.default", "cummin.default", results=2, doc="cumulation", samples=_DIM),
    _along("sort.default", results=2, doc="order", samples=("op(t(B, 4, 5), 1)", "op(t(4))")),
    _along("sort.stable", results=2, doc="order", samples=("op(t(B, 4, 5), stable=True, dim=1)",)),
    _along("topk.default", results=2, doc="order", samples=("op(t(B, 4, 5), 2, 1)", "op(t(B, 4, 5), 5)")),
    Choice(
        targets=("aten.diff.default",),
        doc="difference of neighbours",
        choose=_difference,
        samples=(
            "op(t(B, 4, 5), 1, 1)",
            "op(t(B, 4), 1, -1)",
            "op(t(B, 4), 2, -1, t(B, 1))",
            "op(t(3, 4, 5), 1, 1, t(3, 2, 5), t(3, 3, 5))",
        ),
    ),
    _along("argsort.default", zero="", doc="order", samples=_DIM),
    _along("argsort.stable", zero="", doc="order", samples=("op(t(B, 4, 5), stable=True, dim=1)",)),
    _along(
        "unfold.default",
        argument="dimension",
        doc="sliding window",
        samples=("op(t(B, 4, 7), 2, 3, 2)", "op(t(B, 4, 7), 1, 2, 1)"),
    ),
)
