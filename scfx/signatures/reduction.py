"""Reductions and other operators that work along some dims: sums contract, means are statistics, the rest is rigid."""

from __future__ import annotations

from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record


def _letters(rank: int) -> list[str]:
    return [f"d{index}" for index in range(rank)]


def _reduced(*names: str, kind: str = "rigid", results: int = 1, zero: str = "self", counted: str | None = None, doc: str) -> Choice:
    """A reduction over the dims that the argument `dim` names, or over all of them where it names none."""
    targets = tuple(f"aten.{name}" if "." in name and not name.startswith("scfx") else name for name in names)

    def choose(call: Call) -> Operator:
        rank = call.rank("self")
        gone = call.dim_list("dim", rank) if "dim" in call.arguments else tuple(range(rank))
        keepdim = bool(call.arguments.get("keepdim", False))
        letters = _letters(rank)
        result = ["1" if index in gone else x for index, x in enumerate(letters) if keepdim or index not in gone]
        over = [x for index, x in enumerate(letters) if index in gone]
        return Pattern(
            targets=(call.target,),
            signature=f"{' '.join(letters)} -> " + ", ".join([" ".join(result)] * results),
            pointwise=" ".join(x for x in letters if x not in over),
            contract=" ".join(over) if kind == "contract" else "",
            statistic=" ".join(over) if kind == "statistic" else "",
            reasons=dict.fromkeys(over, f"{doc} over it"),
            zero=zero,
            counted=counted,
        )

    return Choice(targets=targets, doc=doc, choose=choose)


def _along(*names: str, results: int = 1, zero: str = "self", operand: str = "self", doc: str) -> Choice:
    """An operator that mixes what lies along one dim and keeps the shape, or changes the size of that dim alone."""

    def choose(call: Call) -> Operator:
        rank = call.rank(operand)
        dim = call.dim("dim", rank)
        letters = _letters(rank)
        changed = [f"t{index}" if index == dim and call.result_shapes[0][dim] != call.shape(operand)[dim] else x
                   for index, x in enumerate(letters)]  # fmt: skip
        return Pattern(
            targets=(call.target,),
            signature=f"{' '.join(letters)} -> " + ", ".join([" ".join(changed)] * results),
            operands=(operand,),
            pointwise=" ".join(x for index, x in enumerate(letters) if index != dim),
            reasons={f"d{dim}": f"{doc} along it", f"t{dim}": f"{doc} along it"},
            zero=zero,
        )

    return Choice(targets=tuple(f"aten.{name}" for name in names), doc=doc, choose=choose)


def _vector_norm(call: Call) -> Operator:
    """Zeros don't count in a norm of non-negative order."""
    order = call.arguments["ord"]
    kind = "contract" if isinstance(order, (int, float)) and order >= 0 else "rigid"
    return _reduced(call.target.removeprefix("aten."), kind=kind, doc="norm").for_call(call)


RECORDS: tuple[Record, ...] = (
    _reduced("sum.dim_IntList", "sum.default", "nansum.default", kind="contract", doc="sum"),
    _reduced("mean.dim", "mean.default", kind="statistic", counted="scfx.mean.default", doc="mean"),
    _reduced("scfx.mean.default", kind="statistic", counted="scfx.mean.default", doc="mean that keeps its count"),
    _reduced("amax.default", "amin.default", "max.default", "min.default", doc="extremum"),
    _reduced("max.dim", "min.dim", "median.dim", "mode.default", "kthvalue.default", results=2, doc="extremum"),
    _reduced("argmax.default", "argmin.default", zero="", doc="extremum's index"),
    _reduced("prod.dim_int", "prod.default", doc="product"),
    _reduced("logsumexp.default", zero="", doc="log-sum-exp"),
    _reduced(
        "var.correction", "var.dim", "var.default", "std.correction", "std.dim", "std.default", "norm.ScalarOpt_dim", "norm.Scalar",
        doc="statistic",
    ),
    _reduced("any.dim", "any.default", "any.dims", "count_nonzero.dim_IntList", kind="contract", doc="count of non-zeros"),
    Choice(targets=("aten.linalg_vector_norm.default",), doc="vector norm", choose=_vector_norm),
    _reduced("all.dim", "all.default", "all.dims", zero="", doc="statistic"),
    _reduced("var_mean.correction", "std_mean.correction", results=2, doc="statistic"),
    _along("softmax.int", "log_softmax.int", "_softmax.default", "_log_softmax.default", zero="", doc="softmax"),
    _along("cumsum.default", "cumprod.default", doc="cumulation"),
    _along("logcumsumexp.default", zero="", doc="cumulation"),
    _along("cummax.default", "cummin.default", results=2, doc="cumulation"),
    _along("sort.default", "topk.default", results=2, doc="order"),
    _along("argsort.default", zero="", doc="order"),
)  # fmt: skip
