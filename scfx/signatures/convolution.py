"""Convolutions of one to three dims: plain, grouped, depthwise, with a channel multiplier, transposed."""

from __future__ import annotations

from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record

_WHY = {"*s": "convolution window", "*k": "convolution kernel", "*t": "convolution window", "b": "batch"}


def _convolution(*names: str, transposed: bool = False, samples: tuple[str, ...]) -> Choice:
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

    return Choice(targets=targets, doc=doc, choose=choose, usual=batched, samples=samples)


RECORDS: tuple[Record, ...] = (
    _convolution(
        *(f"conv{n}d.{overload}" for n in (1, 2, 3) for overload in ("default", "padding")),
        samples=(
            "conv1d.default(t(B, 4, 9), t(6, 4, 3), t(6), [2], [1], [2])",
            "conv1d.padding(t(4, 9), t(6, 2, 3), None, [1], 'same', [2], 2)",
            "conv2d.default(t(B, 4, 5, 5), t(6, 4, 3, 3), t(6), [1, 1], [1, 1])",
            "conv2d.default(t(2, 4, 5, 6), t(6, 4, 1, 1), None, [2, 2])",
            "conv2d.default(t(2, 6, 5, 5), t(9, 2, 3, 3), t(9), groups=3)",
            "conv2d.default(t(B, 4, 5, 5), t(4, 1, 3, 3), t(4), [1, 1], [2, 2], [2, 2], 4)",
            "conv2d.default(t(2, 4, 5, 5), t(12, 1, 3, 3), None, groups=4)",
            "conv2d.default(t(4, 5, 5), t(3, 4, 3, 3), t(3))",
            "conv2d.default(t(2, 1, 5, 5), t(1, 1, 3, 3), t(1))",
            "conv2d.padding(t(2, 4, 5, 5), t(6, 4, 3, 3), t(6), [1, 1], 'valid')",
            "conv3d.default(t(2, 4, 3, 4, 4), t(6, 4, 2, 2, 2), t(6))",
            "conv3d.padding(t(2, 4, 3, 4, 4), t(4, 2, 3, 3, 3), t(4), padding='same', groups=2)",
        ),
    ),
    _convolution(
        "conv_transpose1d.default",
        "conv_transpose2d.input",
        "conv_transpose3d.input",
        transposed=True,
        samples=(
            "conv_transpose1d.default(t(B, 4, 5), t(4, 6, 3), t(6), [2], [1], [1])",
            "conv_transpose2d.input(t(B, 4, 5, 5), t(4, 6, 3, 3), t(6), [2, 2])",
            "conv_transpose2d.input(t(2, 6, 4, 4), t(6, 2, 2, 2), None, [1, 1], [0, 0], [0, 0], 3, [2, 2])",
            "conv_transpose2d.input(t(2, 4, 4, 4), t(4, 1, 2, 2), t(4), groups=4)",
            "conv_transpose2d.input(t(4, 4, 4), t(4, 3, 2, 2), t(3))",
            "conv_transpose3d.input(t(2, 4, 3, 3, 3), t(4, 3, 2, 2, 2), t(6), groups=2)",
        ),
    ),
)
