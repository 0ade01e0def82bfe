"""Operators on pairs of tensors: distances, cross products, losses."""

from __future__ import annotations

from scfx.signatures.binding import SignatureError
from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.rearranging import letters_of
from scfx.signatures.record import Choice, Operator, Record


def _same_shape(call: Call, *names: str) -> list[str]:
    """A letter for each dim of operands that must have one shape."""
    first = call.shape(names[0])
    if any(call.shape(name) != first for name in names[1:]):
        raise SignatureError("the operands are broadcast")
    return letters_of(len(first))


def _along(call: Call, names: tuple[str, str], given: int | None, keeps: str, zero: str) -> Operator:
    """One dim is compared, or mixed; it vanishes, stays as it is, or stays with size 1."""
    letters = _same_shape(call, *names)
    if given is None:
        raise SignatureError("the dim is the first one of size 3")
    dim = given % max(len(letters), 1)
    made = {"dim": letters, "1": [*letters[:dim], "1", *letters[dim + 1 :]], "": letters[:dim] + letters[dim + 1 :]}
    whole = " ".join(letters)
    return Pattern(
        targets=(call.target,),
        signature=f"{whole}, {whole} -> {' '.join(made[keeps])}",
        operands=names,
        pointwise=" ".join(x for n, x in enumerate(letters) if n != dim),
        reasons={f"d{dim}": f"{call.target.split('.')[1]} along it"},
        zero=zero,
    )


def _similarity(call: Call) -> Operator:
    return _along(call, ("x1", "x2"), call.arguments["dim"], "", "x1*x2")


def _distance(call: Call) -> Operator:
    """It adds a small number to each difference, so that no term is ever zero."""
    return _along(call, ("x1", "x2"), -1, "1" if call.arguments["keepdim"] else "", "")


def _cross(call: Call) -> Operator:
    return _along(call, ("self", "other"), call.arguments["dim"], "dim", "self*other")


def _all_pairs(call: Call) -> Operator:
    if call.shape("x1")[:-2] != call.shape("x2")[:-2]:
        raise SignatureError("the operands are broadcast")
    return Pattern(
        targets=(call.target,),
        signature="*b m d, *b n d -> *b m n",
        operands=("x1", "x2"),
        pointwise="*b m n",
        reasons={"d": "distances along it"},
    )


def _loss(call: Call) -> Operator:
    """Element by element; a mean or a sum of that keeps all there is."""
    names = [name for name in ("self", "target") if name in call.operands]
    letters = _same_shape(call, *names)
    whole = " ".join(letters)
    return Pattern(
        targets=(call.target,),
        signature=f"{whole}, {whole} -> {'' if call.arguments['reduction'] else whole}",
        operands=("self", "target"),
        pointwise="" if call.arguments["reduction"] else whole,
        reasons=dict.fromkeys(letters, "the loss is over it"),
    )


def _class_loss(call: Call) -> Operator:
    """The classes lie along dim 1, or along the only one."""
    letters = letters_of(call.rank("self"))
    at = min(1, len(letters) - 1)
    rest = [x for n, x in enumerate(letters) if n != at]
    target = letters if call.rank("target") == len(letters) else rest
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(letters)}, {' '.join(target)}, {letters[at]} -> "
        + ("" if call.arguments["reduction"] else " ".join(rest)),
        operands=("self", "target", "weight"),
        pointwise="" if call.arguments["reduction"] else " ".join(rest),
        reasons=dict.fromkeys(letters, "the loss is over it"),
    )


RECORDS: tuple[Record, ...] = (
    Choice(
        targets=("aten.cosine_similarity.default",),
        doc="cosine of the angle",
        choose=_similarity,
        samples=("op(t(B, 4, 5), t(B, 4, 5))", "op(t(3, 4), t(3, 4), -1)"),
        refused=("op(t(3, 4), t(1, 4))",),
    ),
    Choice(
        targets=("aten.pairwise_distance.default",),
        doc="distance of rows",
        choose=_distance,
        samples=("op(t(B, 4), t(B, 4))", "op(t(3, 4), t(3, 4), 1.0, 1e-6, True)"),
    ),
    Choice(
        targets=("aten.cdist.default",),
        doc="distances of all pairs of rows",
        choose=_all_pairs,
        samples=("op(t(B, 4, 3), t(B, 5, 3))", "op(t(4, 3), t(5, 3), 1.0)"),
    ),
    Choice(
        targets=("aten.linalg_cross.default", "aten.cross.default"),
        doc="cross product",
        choose=_cross,
        samples=("op(t(B, 3, 4), t(B, 3, 4), dim=1)", "op(t(4, 3), t(4, 3), dim=-1)"),
    ),
    Choice(
        targets=(
            "aten.mse_loss.default",
            "aten.l1_loss.default",
            "aten.smooth_l1_loss.default",
            "aten.huber_loss.default",
            "aten.kl_div.default",
        ),
        doc="loss",
        choose=_loss,
        samples=("op(t(B, 4), t(B, 4), 0)", "op(t(3, 4), t(3, 4))"),
    ),
    Choice(
        targets=("aten.binary_cross_entropy.default", "aten.binary_cross_entropy_with_logits.default"),
        doc="loss",
        choose=_loss,
        samples=("op(u(B, 4), u(B, 4), reduction=0)", "op(u(3, 4), u(3, 4))"),
        refused=("op(u(3, 4), u(3, 4), u(4), reduction=0)",),
    ),
    Choice(
        targets=("aten.cross_entropy_loss.default", "aten.nll_loss_nd.default"),
        doc="loss over classes",
        choose=_class_loss,
        samples=(
            "op(t(B, 4), i(B, high=4), None, 0)",
            "op(t(3, 4, 5), i(3, 5, high=4), u(4), 0)",
            "op(t(3, 4), i(3, high=4))",
            "op(t(4), i(high=4))",
            "cross_entropy_loss.default(t(3, 4), u(3, 4))",
        ),
    ),
)
