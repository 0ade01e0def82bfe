"""Operators that look indices up or write to them: the dim that is indexed is rigid, the others are free."""

from __future__ import annotations

import torch

from scfx.signatures.binding import SignatureError
from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.rearranging import letters_of
from scfx.signatures.record import Choice, Operator, Record

_PICKED = "whole entries are picked by number at run time"
_WRITTEN = "entries are written to by number at run time"
_MASKS = (torch.bool, torch.uint8)


def _along_one(call: Call) -> Operator:
    """index_select, index_add, index_copy, index_fill: one index for the whole of one dim."""
    letters = letters_of(call.rank("self"))
    dim = call.dim("dim", len(letters))
    picked = " ".join("i" if index == dim else x for index, x in enumerate(letters))
    whole, name = " ".join(letters), call.target.split(".")[1]
    index = "i" if call.rank("index") else ""
    selects = name == "index_select"
    return Pattern(
        targets=(call.target,),
        signature=f"{whole}, {index}, {picked} -> {picked if selects else whole}",
        operands=("self", "index", "source"),
        pointwise=" ".join(x for n, x in enumerate(letters) if n != dim) + (" i" if selects else ""),
        reasons={f"d{dim}": _PICKED if selects else _WRITTEN},
        zero={"index_select": "self", "index_fill": "filled"}.get(name, "self + source"),
        copies=selects,
    )


def _element_wise(call: Call) -> Operator:
    """gather and scatter: an index for every element, which may have fewer of them along each dim."""
    letters = letters_of(call.rank("self"))
    dim = call.dim("dim", len(letters))
    gathers = call.target.split(".")[1] == "gather"
    others = [name for name in ("index", "src") if name in call.operands]
    shapes = [call.shape("self"), *(call.shape(name) for name in others)]
    shared = [n != dim and len({shape[n] for shape in shapes}) == 1 for n in range(len(letters))]
    sides = [" ".join(x if shared[n] else f"{x}{name}" for n, x in enumerate(letters)) for name in others]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(letters)}, {', '.join(sides)} -> {sides[0] if gathers else ' '.join(letters)}",
        operands=("self", *others),
        pointwise=" ".join(x for n, x in enumerate(letters) if shared[n]),
        reasons=dict.fromkeys(letters, _PICKED if gathers else _WRITTEN),
        zero="self" if gathers else "self + src" if "src" in others else "filled",
    )


def _bags(call: Call) -> Operator:
    """What else it makes are numbers: where each index went, and for a maximum the row of each."""
    return Pattern(
        targets=(call.target,),
        signature=f"v c, i, o, w -> b c, x, y, {'z c' if len(call.result_shapes[3]) == 2 else '*z'}",
        operands=("weight", "indices", "offsets", "per_sample_weights"),
        pointwise="c",
        reasons={"v": "rows are looked up by number"},
        zero="weight*per_sample_weights",
        weight="weight",
    )


def _searched(call: Call) -> Operator:
    """One sorted sequence for all, or one for each row."""
    single = call.rank("sorted_sequence") == 1
    return Pattern(
        targets=(call.target,),
        signature="k, *b -> *b" if single else "*b k, *b n -> *b n",
        operands=("sorted_sequence", "self"),
        pointwise="*b" if single else "*b n",
        reasons={"k": "boundaries"},
    )


def _masked(call: Call, letters: list[str], at: int) -> tuple[list[str], list[str]]:
    """The letters that a mask in place of dimension `at` covers, and those of what it picks: `r` for the places."""
    covered = letters[at : at + call.rank(f"indices[{at}]")]
    return covered, [*letters[:at], "r", *letters[at + len(covered) :]]


def _picked(call: Call, letters: list[str], places: list[int]) -> tuple[list[str], list[str]]:
    """The letters of each index, and those of what they pick together.

    The indices are broadcast; their dims stand where they stood, or in front where they were apart.
    """
    names = [f"indices[{n}]" for n in places]
    rank = max(call.rank(name) for name in names)
    wide = [
        max((s := call.shape(name))[n - rank + len(s)] for name in names if n >= rank - call.rank(name))
        for n in range(rank)
    ]
    picks = [f"i{n}" for n in range(rank)]
    sides = [
        " ".join("1" if size == 1 else x for x, size in zip(picks[rank - call.rank(n) :], call.shape(n), strict=True))
        for n in names
    ]
    together = places == list(range(places[0], places[0] + len(places)))
    first = places[0] if together else 0
    rest = [x for n, x in enumerate(letters) if n not in places]
    made = [*rest[:first], *("1" if size == 1 else x for x, size in zip(picks, wide, strict=True)), *rest[first:]]
    return sides, made


def _given(call: Call) -> tuple[list[int], bool]:
    """The dimensions that have an index, and whether that is one mask.

    Raises:
        SignatureError: a mask stands beside other indices.
    """
    places = [n for n, index in enumerate(call.arguments["indices"]) if index is not None]
    masks = [n for n in places if call.arguments["indices"][n].meta["dtype"] in _MASKS]
    if masks and len(places) > 1:
        raise SignatureError("a mask among several indices")
    return places, bool(masks)


def _advanced(call: Call) -> Operator:
    """x[:, i, j], or x[mask] with one mask: what is indexed is rigid, and so is what a mask makes of it."""
    letters = letters_of(call.rank("self"))
    places, mask = _given(call)
    if mask:
        covered, made = _masked(call, letters, places[0])
        sides, pointwise = [" ".join(covered)], [x for x in made if x != "r"]
        reasons = dict.fromkeys(covered, "entries are picked by a mask") | {"r": "a mask says how many there are"}
    else:
        sides, made = _picked(call, letters, places)
        pointwise = [*(x for n, x in enumerate(letters) if n not in places), *(x for x in made if x[0] == "i")]
        reasons = {letters[n]: _PICKED for n in places}
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(letters)}, {', '.join(sides)} -> {' '.join(made)}",
        operands=("self", *(f"indices[{n}]" for n in places)),
        pointwise=" ".join(pointwise),
        reasons=reasons,
        zero="self",
        copies=True,
    )


def _put(call: Call) -> Operator:
    """x[:, i] = v or x[mask] = v: under a mask, too, places stand alone where one value is for all of them."""
    letters = letters_of(call.rank("self"))
    places, mask = _given(call)
    if mask:
        covered, made = _masked(call, letters, places[0])
        sides = [" ".join(covered)]
    else:
        covered = [letters[n] for n in places]
        sides, made = _picked(call, letters, places)
    shape = call.shape("values")
    values = [x if size != 1 else "1" for x, size in zip(made[len(made) - len(shape) :], shape, strict=True)]
    alone = [x for x in letters if x not in covered or (mask and "r" not in values)]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(letters)}, {', '.join(sides)}, {' '.join(values)} -> {' '.join(letters)}",
        operands=("self", *(f"indices[{n}]" for n in places), "values"),
        pointwise=" ".join(alone),
        reasons=dict.fromkeys(covered, "values go where a mask says" if mask else _WRITTEN),
        zero="self + values",
    )


RECORDS: tuple[Record, ...] = (
    Pattern(
        targets=("aten.embedding.default",),
        signature="v c, *i -> *i c",
        operands=("weight", "indices"),
        pointwise="*i c",
        reasons={"v": "rows are looked up by number"},
        zero="weight",
        weight="weight",
        doc="looks rows up",
        samples=("op(t(7, 4), i(B, 3, high=7))", "op(t(7, 4), i(3, high=7), 2)"),
    ),
    Choice(
        targets=(
            "aten.index_select.default",
            "aten.index_add.default",
            "aten.index_copy.default",
            "aten.index_fill.int_Scalar",
            "aten.index_reduce.default",
        ),
        doc="picks or replaces indices of one dim",
        choose=_along_one,
        samples=(
            "index_select.default(t(B, 4, 5), 1, i(3, high=4))",
            "index_select.default(t(4, 5), -1, i(5, high=5))",
            "index_add.default(t(B, 4, 5), 1, i(3, high=4), t(B, 3, 5))",
            "index_copy.default(t(B, 4, 5), 2, i(1, high=5), t(B, 4, 1))",
            "index_fill.int_Scalar(t(B, 4, 5), 1, i(2, high=4), 1.5)",
            "index_reduce.default(t(B, 4, 5), 1, i(3, high=4), t(B, 3, 5), 'amax')",
        ),
    ),
    Choice(
        targets=(
            "aten.gather.default",
            "aten.scatter.src",
            "aten.scatter.value",
            "aten.scatter_add.default",
            "aten.scatter.reduce",
            "aten.scatter.value_reduce",
            "aten.scatter_reduce.two",
        ),
        doc="an index for every element",
        choose=_element_wise,
        samples=(
            "gather.default(t(B, 4, 5), 1, i(B, 3, 5, high=4))",
            "gather.default(t(3, 4), -1, i(2, 4, high=4))",
            "scatter.value(t(3, 4, 5), 1, i(3, 1, 5, high=4), 1.5)",
            "scatter.src(t(3, 4, 5), 1, i(3, 1, 5, high=4), t(3, 1, 5))",
            "scatter_add.default(t(3, 4, 5), 2, i(3, 4, 2, high=5), t(3, 4, 2))",
            "scatter.reduce(t(3, 4, 5), 1, i(3, 2, 5, high=4), t(3, 2, 5), reduce='add')",
            "scatter.value_reduce(t(3, 4, 5), 1, i(3, 2, 5, high=4), 2.0, reduce='multiply')",
            "scatter_reduce.two(t(3, 4, 5), 1, i(3, 2, 5, high=4), t(3, 2, 5), 'amax')",
            "scatter_reduce.two(t(3, 4), 0, i(5, 4, high=3), t(5, 4), 'mean', include_self=False)",
        ),
    ),
    Choice(
        targets=("aten.index_put.default",),
        doc="writes to indices",
        choose=_put,
        samples=(
            "op(t(B, 4, 5), [None, i(2, high=4)], t(B, 2, 5))",
            "op(t(3, 4, 5), [None, i(2, high=4)], t(5))",
            "op(t(3, 4), [None, i(2, high=4)], t(), True)",
            "op(t(B, 4, 5), [m(B, 4, 5)], t())",
            "op(t(3, 4, 5), [m(3, 4)], t())",
            "op(t(3, 4, 5), [m(3, 4)], t(1, 5))",
            "op(t(6, 4, 5), [k(6)], t(3, 4, 5))",
            "op(t(3, 4, 2, 5), [None, k(4, 2)], t(4, 5))",
            "op(t(4, 5, 6), [i(2, high=4), i(2, high=5)], t(2, 6))",
            "op(t(4, 5, 6), [i(2, 1, high=4), None, i(3, high=6)], t(2, 3, 5), True)",
        ),
        refused=("op(t(4, 5, 6), [k(4), None, i(2, high=6)], t(2, 5))",),
    ),
    Choice(
        targets=("aten.embedding_bag.padding_idx", "aten.embedding_bag.default"),
        doc="looks rows up and adds them, or takes their mean or maximum",
        choose=_bags,
        samples=(
            "embedding_bag.padding_idx(t(7, 4), i(5, high=7), i(2, high=1), False, 0, False, u(5), False, None)",
            "embedding_bag.default(t(7, 4), i(5, high=7), i(3, high=1))",
            "embedding_bag.default(t(7, 4), i(5, high=7), i(3, high=1), False, 1)",
            "embedding_bag.default(t(7, 4), i(5, high=7), i(3, high=1), False, 2)",
        ),
    ),
    Choice(
        targets=("aten.searchsorted.Tensor",),
        doc="where each element would stand",
        choose=_searched,
        samples=("op(u(3), t(B, 4))", "op(t(B, 3), t(B, 4))"),
    ),
    Pattern(
        targets=("aten.one_hot.default",),
        signature="*b -> *b k",
        pointwise="*b",
        reasons={"k": "indices become places"},
        doc="a one at each index",
        samples=("op(i(3, 2, high=4), 4)",),
    ),
    Pattern(
        targets=("aten.bucketize.Tensor",),
        signature="*b, k -> *b",
        operands=("self", "boundaries"),
        pointwise="*b",
        reasons={"k": "boundaries"},
        doc="which interval each element lies in",
        samples=("op(t(B, 4), u(3))",),
    ),
    Choice(
        targets=("aten.index.Tensor",),
        doc="advanced indexing",
        choose=_advanced,
        samples=(
            "op(t(B, 4, 5), [None, i(3, high=4)])",
            "op(t(4, 5), [i(2, 3, high=4)])",
            "op(t(B, 4, 5, 6), [None, i(3, 1, high=4), i(2, high=5)])",
            "op(t(3, 4, 5), [i(2, high=3), None, i(2, high=5)])",
            "op(t(4, 5), [i(high=4)])",
            "op(t(4, 5), [k(4)])",
            "op(t(2, 4, 3, 5), [None, k(4, 3)])",
        ),
        refused=("op(t(4, 5), [k(4), i(2, high=5)])",),
    ),
)
