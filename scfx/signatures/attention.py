"""Scaled dot-product attention: features are summed over, keys are rigid, heads and the values' features are alone."""

from __future__ import annotations

from scfx.signatures.binding import SignatureError
from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record


def _attention(call: Call) -> Operator:
    """The default scale depends on the number of features: without a scale that is written down they are rigid."""
    ranks = {call.rank(name) for name in ("query", "key", "value")}
    if len(ranks) > 1:
        raise SignatureError("query, key and value have different ranks")
    leading = [f"b{n}" for n in range(ranks.pop() - 2)]
    heads = _heads(call, leading)

    def dims(name: str, leading: list[str], *last: str) -> str:
        shape = call.shape(name)
        letters = [*leading, *last][-len(shape) :] if shape else []
        return " ".join("1" if size == 1 and x in leading else x for x, size in zip(letters, shape, strict=True))

    mask = ""
    if "attn_mask" in call.operands:
        shape = call.shape("attn_mask")
        letters = [*heads, "q", "k"][len(leading) + 2 - len(shape) :]
        mask = " ".join("1" if size == 1 else x for x, size in zip(letters, shape, strict=True))
    sides = (dims("query", heads, "q", "d"), dims("key", leading, "k", "d"), dims("value", leading, "k", "e"), mask)
    made = " ".join("1" if size == 1 else x for x, size in zip(heads, call.result_shapes[0], strict=False))
    scaled = call.arguments["scale"] is not None
    return Pattern(
        targets=(call.target,),
        signature=f"{', '.join(sides)} -> {made} q e",
        operands=("query", "key", "value", "attn_mask"),
        pointwise=" ".join([*leading, "r", "e", *([] if call.arguments["is_causal"] else ["q"])]),
        contract="d" if scaled else "",
        reasons={"d": "the default scale of attention depends on it", "k": "softmax over the keys", "q": "causal mask"},
        zero="value",
        summed="query*key",
    )


def _heads(call: Call, leading: list[str]) -> list[str]:
    """The dims in front of the queries' positions: of heads that share a key head, that one is the outer factor."""
    if not call.arguments["enable_gqa"] or call.shape("query")[-3] == call.shape("key")[-3]:
        return leading
    if call.shape("key")[-3] != call.shape("value")[-3]:
        raise SignatureError("key and value have different numbers of heads")
    return [*leading[:-1], "r" if call.shape("key")[-3] == 1 else f"({leading[-1]} r)"]


RECORDS: tuple[Record, ...] = (
    Choice(
        targets=("aten.scaled_dot_product_attention.default",),
        doc="attention",
        choose=_attention,
        samples=(
            "op(t(B, 2, 3, 4), t(B, 2, 5, 4), t(B, 2, 5, 6), scale=0.5)",
            "op(t(B, 2, 3, 4), t(B, 2, 3, 4), t(B, 2, 3, 4), None, 0.0, True, scale=0.3)",
            "op(t(B, 2, 3, 4), t(B, 2, 3, 4), t(B, 2, 3, 4))",
            "op(t(3, 2, 3, 4), t(3, 2, 5, 4), t(3, 2, 5, 6), t(3, 5), scale=0.5)",
            "op(t(B, 2, 3, 4), t(B, 2, 5, 4), t(B, 2, 5, 6), t(B, 1, 1, 5), scale=0.5)",
            "op(t(2, 3, 4), t(2, 5, 4), t(2, 5, 6), scale=0.5)",
            "op(t(B, 6, 3, 5), t(B, 2, 4, 5), t(B, 2, 4, 3), scale=0.5, enable_gqa=True)",
            "op(t(2, 6, 3, 5), t(2, 3, 4, 5), t(2, 3, 4, 2), u(2, 6, 3, 4), scale=0.5, enable_gqa=True)",
            "op(t(2, 4, 3, 5), t(2, 1, 3, 5), t(2, 1, 3, 2), None, 0.0, True, scale=0.5, enable_gqa=True)",
            "op(t(2, 4, 3, 5), t(2, 4, 3, 5), t(2, 4, 3, 2), scale=0.5, enable_gqa=True)",
        ),
        refused=("op(t(2, 4, 3, 5), t(2, 2, 3, 5), t(2, 4, 3, 5), enable_gqa=True)",),
    ),
)
