"""Convolutions of one to three dims: plain, grouped, depthwise, with a channel multiplier, transposed."""

from __future__ import annotations

from functools import cache

from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record

_WHY = {"*s": "convolution window", "*k": "convolution kernel", "*t": "convolution window", "b": "batch"}
_WHY |= {f"{side}{n}": "convolution window" for side in "st" for n in range(3)}


def _convolution(*names: str, transposed: bool = False, samples: tuple[str, ...]) -> Choice:
    weight = "(g i) o *k" if transposed else "(g o) i *k"
    targets = tuple(f"aten.{name}" for name in names)
    doc = "transposed convolution" if transposed else "convolution"

    @cache
    def pattern(batch: str, single: tuple[bool, ...]) -> Pattern:
        """For each dim of space: whether the window is a single place, so that places stand alone."""
        inside = " ".join(f"s{n}" for n in range(len(single))) if any(single) else "*s"
        outside = " ".join(f"s{n}" if one else f"t{n}" for n, one in enumerate(single)) if any(single) else "*t"
        return Pattern(
            targets=targets,
            signature=f"{batch} (g i) {inside}, {weight}, (g o) -> {batch} (g o) {outside}",
            operands=("input", "weight", "bias"),
            pointwise=" ".join([f"{batch} g o", *(f"s{n}" for n, one in enumerate(single) if one)]),
            contract="i",
            sizes={"g": "groups"},
            ranks={"*s": "*k", "*t": "*k"},
            zero="input*weight + bias",
            weight="weight",
            repeated=f"{batch} {inside}" if transposed else "",
            reasons=_WHY,
            doc=doc,
        )

    def choose(call: Call) -> Operator:
        batch = "b" if call.rank("input") == call.rank("weight") else ""
        return pattern(batch, _single(call))

    return Choice(targets=targets, doc=doc, choose=choose, usual=pattern("b", ()), samples=samples)


def _single(call: Call) -> tuple[bool, ...]:
    """For each dim of space, whether each place of the result comes from that very place and no other."""
    kernel = call.shape("weight")[2:]
    if 1 not in kernel:
        return (False,) * len(kernel)

    def every(argument: str, usual: int) -> list[bool]:
        given = call.arguments.get(argument, usual)
        if isinstance(given, str):  # "same" and "valid" add nothing to a kernel of one place
            return [True] * len(kernel)
        values = [call.integer(value) for value in given] if isinstance(given, (list, tuple)) else [int(given)]
        return [value == usual for value in (values * len(kernel) if len(values) == 1 else values)]

    conditions = every("stride", 1), every("padding", 0), every("output_padding", 0)
    return tuple(size == 1 and all(met) for size, *met in zip(kernel, *conditions, strict=True))


RECORDS: tuple[Record, ...] = (
    _convolution(
        *(f"conv{n}d.{overload}" for n in (1, 2, 3) for overload in ("default", "padding")),
        samples=(
            "conv1d.default(t(B, 4, 9), t(6, 4, 3), t(6), [2], [1], [2])",
            "conv1d.padding(t(4, 9), t(6, 2, 3), None, [1], 'same', [2], 2)",
            "conv2d.default(t(B, 4, 5, 5), t(6, 4, 3, 3), t(6), [1, 1], [1, 1])",
            "conv2d.default(t(2, 4, 5, 6), t(6, 4, 1, 1), None, [2, 2])",
            "conv2d.default(t(B, 4, 5, 6), t(6, 4, 1, 1), t(6))",
            "conv2d.default(t(2, 4, 5, 6), t(6, 4, 1, 1), t(6), [1, 1], [1, 0])",
            "conv2d.default(t(2, 4, 5, 6), t(6, 2, 1, 3), t(6), [1], [0, 1], groups=2)",
            "conv1d.padding(t(2, 4, 5), t(6, 4, 1), None, [1], 'same')",
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
            "conv_transpose2d.input(t(2, 4, 4, 5), t(4, 3, 1, 1), t(3))",
            "conv_transpose1d.default(t(2, 4, 5), t(4, 3, 1), None, [1], [1], [2], 1, [3])",
            "conv_transpose3d.input(t(2, 4, 3, 3, 3), t(4, 3, 2, 2, 2), t(6), groups=2)",
        ),
    ),
)
