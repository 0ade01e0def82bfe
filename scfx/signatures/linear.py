"""Matrix products: linear layers, addmm, matmul in all its ranks, einsum."""

from __future__ import annotations

from scfx.signatures.binding import SignatureError
from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record


def _broadcast(letters: list[str], shape: tuple[int, ...]) -> list[str]:
    """The last of the letters, one for each dim, but none for a dim that is broadcast."""
    return ["1" if size == 1 else x for x, size in zip(letters[len(letters) - len(shape) :], shape, strict=True)]


def _matmul(call: Call) -> Operator:
    """matmul broadcasts leading dims and drops the dims of vectors."""
    left, right = call.shape("self"), call.shape("other")
    leading = [f"b{n}" for n in range(max(len(left), len(right)) - 2)]
    made = [*leading, *(["m"] if len(left) > 1 else []), *(["n"] if len(right) > 1 else [])]
    first = [*_broadcast(leading, left[:-2]), *["m", "k"][-len(left) :]]
    second = [*_broadcast(leading, right[:-2]), *["k", "n"][: len(right)]]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(first)}, {' '.join(second)} -> {' '.join(_broadcast(made, call.result_shapes[0]))}",
        operands=("self", "other"),
        pointwise=" ".join(made),
        contract="k",
        zero="self*other",
        weight="other",
        bilinear=True,
    )


def _product(name: str, signature: str, *operands: str, sample: str) -> Pattern:
    return Pattern(
        targets=(f"aten.{name}",),
        signature=signature,
        operands=operands,
        pointwise=signature.partition("-> ")[2],
        contract="k" if "k" in signature else "",
        zero="*".join(operands),
        weight=operands[1],
        bilinear=True,
        doc="matrix product",
        samples=(sample,),
    )


def _addmm(call: Call) -> Operator:
    """Its first operand is broadcast."""
    first, second = [name for name in call.operands if name != "self"]
    left, right, made = _ADDED[call.target]
    bias = " ".join(_broadcast(made.split(), call.shape("self")))
    return Pattern(
        targets=(call.target,),
        signature=f"{bias}, {left}, {right} -> {made}",
        operands=("self", first, second),
        pointwise=made,
        contract="k a",
        zero=f"{first}*{second} + self",
        weight=second,
        bilinear=True,
    )


_ADDED = {
    "aten.addmm.default": ("m k", "k n", "m n"),
    "aten.baddbmm.default": ("b m k", "b k n", "b m n"),
    "aten.addbmm.default": ("a m k", "a k n", "m n"),
    "aten.addmv.default": ("m k", "k", "m"),
}


def _tensordot(call: Call) -> Operator:
    """Sums over pairs of dims; what is left of both operands follows."""
    sides = [[f"{side}{n}" for n in range(call.rank(name))] for side, name in (("a", "self"), ("b", "other"))]
    pairs = zip(call.arguments["dims_self"], call.arguments["dims_other"], strict=True)
    for number, (i, j) in enumerate(pairs):
        sides[0][i] = sides[1][j] = f"k{number}"
    result = [x for side in sides for x in side if x[0] != "k"]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(sides[0])}, {' '.join(sides[1])} -> {' '.join(result)}",
        operands=("self", "other"),
        pointwise=" ".join(result),
        contract=" ".join(x for x in sides[0] if x[0] == "k"),
        zero="self*other",
        weight="other",
        bilinear=True,
    )


def _einsum(call: Call) -> Operator:
    """Letters of the result are alone, the others are summed over. `...` becomes letters of its own."""
    equation = str(call.arguments["equation"]).replace(" ", "")
    left, arrow, made = equation.partition("->")
    names = list(call.operands)
    if not arrow:
        once = sorted(x for x in set(left) - {",", "."} if left.count(x) == 1)
        made = "..." * ("..." in left) + "".join(once)
    shapes = [call.shape(name) for name in names]
    ranks = [len(shape) - len(word.replace("...", "")) for word, shape in zip(left.split(","), shapes, strict=True)]
    dots = [f"dots{n}" for n in range(max(ranks))]

    def letters(word: str, rank: int) -> list[str]:
        before, found, after = word.partition("...")
        return [*before, *(dots[len(dots) - rank :] if found else []), *after]

    sides = [letters(word, rank) for word, rank in zip(left.split(","), ranks, strict=True)]
    result = letters(made, len(dots))
    if not all(len(side) == len(shape) for side, shape in zip(sides, shapes, strict=True)):
        raise SignatureError(
            f"the equation {equation} doesn't fit operands of {', '.join(f'{len(s)} dims' for s in shapes)}"
        )
    summed = dict.fromkeys(x for side in sides for x in side if x not in result)
    signature = ", ".join(" ".join(_broadcast(side, shape)) for side, shape in zip(sides, shapes, strict=True))
    return Pattern(
        targets=(call.target,),
        signature=f"{signature} -> {' '.join(_broadcast(result, call.result_shapes[0]))}",
        operands=tuple(names),
        pointwise=" ".join(result),
        contract=" ".join(summed),
        zero="*".join(names),
        bilinear=True,
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
        samples=(
            "op(t(B, 4), t(5, 4), t(5))",
            "op(t(B, 3, 2, 4), t(5, 4))",
            "op(t(4), t(5, 4), t(5))",
            "op(t(B, 1), t(5, 1))",
        ),
    ),
    Choice(
        targets=("aten.matmul.default",),
        doc="matrix product, broadcast",
        choose=_matmul,
        samples=(
            "op(t(4), t(4))",
            "op(t(4), t(4, 5))",
            "op(t(3, 4), t(4))",
            "op(t(B, 4), t(4, 5))",
            "op(t(B, 2, 3, 4), t(4, 5))",
            "op(t(3, 4), t(B, 2, 4, 5))",
            "op(t(B, 3, 4), t(4))",
            "op(t(4), t(B, 3, 4, 5))",
            "op(t(B, 2, 3, 4), t(B, 2, 4, 5))",
            "op(t(B, 1, 3, 4), t(2, 4, 5))",
            "op(t(1, 3, 4), t(1, 4, 1))",
        ),
    ),
    _product("mm.default", "m k, k n -> m n", "self", "mat2", sample="op(t(B, 4), t(4, 5))"),
    _product("bmm.default", "b m k, b k n -> b m n", "self", "mat2", sample="op(t(B, 3, 4), t(B, 4, 5))"),
    _product("mv.default", "m k, k -> m", "self", "vec", sample="op(t(3, 4), t(4))"),
    _product("dot.default", "k, k -> ", "self", "tensor", sample="op(t(4), t(4))"),
    _product("vdot.default", "k, k -> ", "self", "other", sample="op(t(4), t(4))"),
    _product("outer.default", "m, n -> m n", "self", "vec2", sample="op(t(3), t(4))"),
    Choice(
        targets=tuple(_ADDED),
        doc="matrix product plus a bias that is broadcast",
        choose=_addmm,
        samples=(
            "addmm.default(t(5), t(B, 4), t(4, 5))",
            "addmm.default(t(B, 1), t(B, 4), t(4, 5), beta=0.5, alpha=2)",
            "addmm.default(t(), t(3, 4), t(4, 5))",
            "baddbmm.default(t(3, 1), t(B, 3, 4), t(B, 4, 5))",
            "baddbmm.default(t(B, 3, 5), t(B, 3, 4), t(B, 4, 5))",
            "addbmm.default(t(5), t(6, 3, 4), t(6, 4, 5))",
            "addmv.default(t(3), t(3, 4), t(4))",
        ),
    ),
    Pattern(
        targets=("aten.bilinear.default",),
        signature="*b i, *b j, o i j, o -> *b o",
        operands=("input1", "input2", "weight", "bias"),
        pointwise="*b o",
        contract="i j",
        zero="input1*input2*weight + bias",
        weight="weight",
        doc="bilinear layer",
        samples=("op(t(B, 6), t(B, 5), t(3, 6, 5), t(3))", "op(t(2, 4, 3), t(2, 4, 2), t(5, 3, 2), None)"),
    ),
    Pattern(
        targets=("scfx.grouped_mm.default", "transformers.grouped_mm_fallback.default"),
        signature="s i, e i o, e -> s o",
        operands=("input", "weight", "offs"),
        pointwise="o",
        contract="i",
        reasons={"s": "rows are assigned to experts by their place", "e": "rows are assigned to experts"},
        zero="input*weight",
        weight="weight",
        matrices="e",
        doc="matrix product with a matrix for each run of rows, as experts have",
        samples=("op(t(6, 4), t(3, 4, 5), i(3, high=7))",),
    ),
    Choice(
        targets=("aten.tensordot.default",),
        doc="sums over pairs of dims",
        choose=_tensordot,
        samples=("op(t(3, 4, 5), t(5, 4, 2), [1, 2], [1, 0])", "op(t(B, 4), t(4, 3), [-1], [0])"),
    ),
    Choice(
        targets=("aten.einsum.default",),
        doc="Einstein summation",
        choose=_einsum,
        samples=(
            "op('bchw,oc->bohw', [t(B, 4, 3, 3), t(5, 4)])",
            "op('...i, oi', [t(B, 3, 4), t(5, 4)])",
            "op('bhqd,bhkd->bhqk', [t(B, 2, 3, 4), t(B, 2, 3, 4)])",
            "op('ii->i', [t(4, 4)])",
            "op('ij->', [t(3, 4)])",
            "op('...ij,...jk->...ik', [t(B, 1, 3, 4), t(2, 4, 5)])",
            "op('i,i,ij->j', [t(3), t(3), t(3, 4)])",
            "op('b i, b i -> b', [t(2, 4), t(2, 1)])",
        ),
    ),
)
