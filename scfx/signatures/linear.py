"""Matrix products: linear layers, addmm, and matmul in all its ranks."""

from __future__ import annotations

from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record


def _matmul(call: Call) -> Operator:
    """matmul broadcasts leading dims and drops the dims of vectors."""
    ranks = call.rank("self"), call.rank("other")
    batch = max(ranks[0], ranks[1]) - 2
    shapes = call.shape("self"), call.shape("other")

    def leading(which: int) -> str:
        own = max(ranks[which] - 2, 0)
        sizes = shapes[which][:own]
        return " ".join("1" if size == 1 else f"b{batch - own + index}" for index, size in enumerate(sizes))

    def dims(*words: str) -> str:
        return " ".join(word for word in words if word)

    made = " ".join(
        f"b{index}" if call.result_shapes[0][index] != 1 else "1" for index in range(max(batch, 0))
    )  # a leading dim of size 1 on both sides has no letter
    left = dims(leading(0), "m k" if ranks[0] > 1 else "k")
    right = dims(leading(1), "k n" if ranks[1] > 1 else "k")
    result = dims(made, "m" if ranks[0] > 1 else "", "n" if ranks[1] > 1 else "")
    return Pattern(
        targets=("aten.matmul.default",),
        signature=f"{left}, {right} -> {result}",
        operands=("self", "other"),
        pointwise=" ".join(["m", "n", *made.replace("1", "").split()]),
        contract="k",
        zero="self*other",
        weight="other",
    )


def _product(*names: str, left: str, right: str, result: str, operands: tuple[str, str], letters: str) -> Pattern:
    return Pattern(
        targets=tuple(f"aten.{name}" for name in names),
        signature=f"{left}, {right} -> {result}",
        operands=operands,
        pointwise=letters,
        contract="k",
        zero="*".join(operands),
        weight=operands[1],
        doc="matrix product",
    )


def _addmm(call: Call) -> Operator:
    """addmm and baddbmm broadcast their first operand."""
    batched = call.target.startswith("aten.baddbmm")
    factors = ("batch1", "batch2") if batched else ("mat1", "mat2")
    result = "b m n" if batched else "m n"
    letters = result.split()[-call.rank("self") :] if call.rank("self") else []
    bias = " ".join("1" if size == 1 else x for size, x in zip(call.shape("self"), letters, strict=True))
    left, right = ("b m k", "b k n") if batched else ("m k", "k n")
    return Pattern(
        targets=(call.target,),
        signature=f"{bias}, {left}, {right} -> {result}",
        operands=("self", *factors),
        pointwise=result,
        contract="k",
        zero=f"{factors[0]}*{factors[1]} + self",
        weight=factors[1],
    )


RECORDS: tuple[Record, ...] = (
    Pattern(
        targets=("aten.linear.default",),
        signature="*b i, o i, o -> *b o",
        operands=("input", "weight", "bias"),
        pointwise="*b o",
        contract="i",
        zero="input*weight + bias",
        weight="weight",
        doc="linear layer",
    ),
    Choice(targets=("aten.matmul.default",), doc="matrix product, broadcast", choose=_matmul),
    _product("mm.default", left="m k", right="k n", result="m n", operands=("self", "mat2"), letters="m n"),
    _product("bmm.default", left="b m k", right="b k n", result="b m n", operands=("self", "mat2"), letters="b m n"),
    _product("mv.default", left="m k", right="k", result="m", operands=("self", "vec"), letters="m"),
    _product("dot.default", left="k", right="k", result="", operands=("self", "tensor"), letters=""),
    _product("outer.default", left="m", right="n", result="m n", operands=("self", "vec2"), letters="m n"),
    Choice(
        targets=("aten.addmm.default", "aten.baddbmm.default"), doc="matrix product plus a bias that is broadcast", choose=_addmm
    ),
)
