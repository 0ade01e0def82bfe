"""Scaled dot-product attention: features are summed over, keys are rigid, heads and the values' features are alone."""

from __future__ import annotations

from scfx.signatures.binding import SignatureError
from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record


def _attention(call: Call) -> Operator:
    """The default scale depends on the number of features: without a scale that is written down they are rigid."""
    if call.arguments["enable_gqa"]:
        raise SignatureError("query heads that share key heads aren't lined up yet")
    ranks = {call.rank(name) for name in ("query", "key", "value")}
    if len(ranks) > 1:
        raise SignatureError("query, key and value have different ranks")
    leading = [f"b{n}" for n in range(ranks.pop() - 2)]

    def dims(name: str, *last: str) -> str:
        shape = call.shape(name)
        letters = [*leading, *last][-len(shape) :] if shape else []
        return " ".join("1" if size == 1 and x in leading else x for x, size in zip(letters, shape, strict=True))

    mask = ""
    if "attn_mask" in call.operands:
        shape = call.shape("attn_mask")
        letters = [*leading, "q", "k"][len(leading) + 2 - len(shape) :]
        mask = " ".join("1" if size == 1 else x for x, size in zip(letters, shape, strict=True))
    operands = f"{dims('query', 'q', 'd')}, {dims('key', 'k', 'd')}, {dims('value', 'k', 'e')}, {mask}"
    made = " ".join("1" if size == 1 else x for x, size in zip(leading, call.result_shapes[0], strict=False))
    scaled = call.arguments["scale"] is not None
    return Pattern(
        targets=(call.target,),
        signature=f"{operands} -> {made} q e",
        operands=("query", "key", "value", "attn_mask"),
        pointwise=" ".join([*leading, "e", *([] if call.arguments["is_causal"] else ["q"])]),
        contract="d" if scaled else "",
        reasons={"d": "the default scale of attention depends on it", "k": "softmax over the keys", "q": "causal mask"},
        zero="value",
        summed="query*key",
    )


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
        ),
        refused=("op(t(2, 4, 3, 5), t(2, 2, 3, 5), t(2, 2, 3, 5), enable_gqa=True)",),
    ),
)
