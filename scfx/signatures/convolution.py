"""Convolutions of one to three dims: plain, grouped, depthwise, with a channel multiplier, transposed."""

from __future__ import annotations

from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record

_WHY = {"*s": "convolution window", "*k": "convolution kernel", "*t": "convolution window", "b": "batch"}


def _convolution(*names: str, transposed: bool = False) -> Choice:
    weight = "(g i) o *k" if transposed else "(g o) i *k"
    targets = tuple(f"aten.{name}" for name in names)
    doc = "transposed convolution" if transposed else "convolution"

    def pattern(batch: str) -> Pattern:
        return Pattern(
            targets=targets,
            signature=f"{batch} (g i) *s, {weight}, (g o) -> {batch} (g o) *t",
            operands=("input", "weight", "bias"),
            pointwise=f"{batch} g o",
            contract="i",
            sizes={"g": "groups"},
            ranks={"*s": "*k", "*t": "*k"},
            zero="input*weight + bias",
            weight="weight",
            reasons=_WHY,
            doc=doc,
        )

    batched, unbatched = pattern("b"), pattern("")

    def choose(call: Call) -> Operator:
        return batched if call.rank("input") == call.rank("weight") else unbatched

    return Choice(targets=targets, doc=doc, choose=choose)


RECORDS: tuple[Record, ...] = (
    _convolution(*(f"conv{n}d.{overload}" for n in (1, 2, 3) for overload in ("default", "padding"))),
    _convolution("conv_transpose1d.default", "conv_transpose2d.input", "conv_transpose3d.input", transposed=True),
)
