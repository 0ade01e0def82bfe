"""Reductions: sums contract, means are statistics, the rest is rigid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Kept, Operator, Record, Replacement
from scfx.signatures.resizing import kept_size
from scfx.terms.facts import LARGE


def _reduced(
    *names: str,
    kind: str = "rigid",
    results: int = 1,
    zero: str = "self",
    make: Callable[..., Pattern] = Pattern,
    doc: str,
    samples: tuple[str, ...],
) -> Choice:
    """A reduction over the dims that the argument `dim` names, or over all of them where it names none."""
    targets = tuple(name if name.startswith("scfx") else f"aten.{name}" for name in names)

    def choose(call: Call) -> Operator:
        return _reduction(call, kind, results, zero, make, doc)

    return Choice(targets=targets, doc=doc, choose=choose, samples=samples)


def _reduction(call: Call, kind: str, results: int, zero: str, make: Callable[..., Pattern], doc: str) -> Pattern:
    rank = call.rank("self")
    gone = call.dim_list("dim", rank) if "dim" in call.arguments else tuple(range(rank))
    keepdim = bool(call.arguments.get("keepdim", False))
    letters = [f"d{index}" for index in range(rank)]
    result = ["1" if index in gone else x for index, x in enumerate(letters) if keepdim or index not in gone]
    over = " ".join(letters[index] for index in gone)
    return make(
        targets=(call.target,),
        signature=f"{' '.join(letters)} -> " + ", ".join([" ".join(result)] * results),
        pointwise=" ".join(x for index, x in enumerate(letters) if index not in gone),
        contract=over if kind == "contract" else "",
        statistic=over if kind == "statistic" else "",
        reasons=dict.fromkeys(over.split(), f"{doc} over it"),
        zero=zero,
    )


@dataclass(frozen=True, kw_only=True)
class _Average(Pattern):
    """A mean or variance: of the dims that shrink, the original and the present number of indices are written down."""

    def resize(self, call: Call, kept: Kept) -> Replacement | None:
        change = super().resize(call, kept)
        if change is None:
            return None
        over = [dim for letter, dim in _dims(call).items() if letter in self.statistic.split() and dim.size <= LARGE]
        arguments: dict[str, Any] = {**change.arguments, "kept": prod(kept_size(dim, kept) for dim in over)}
        return Replacement(arguments, change.target)


_Mean = partial(_Average, counted="scfx.mean.default")


def _spread(name: str) -> Callable[[Call], Operator]:
    """A variance or its root, over named dims or over all; of all, none can go: their number isn't in the call."""

    def choose(call: Call) -> Operator:
        kind = "statistic" if call.arguments["dim"] else "rigid"
        return _reduction(call, kind, 1, "self", partial(_Average, counted=f"scfx.{name}.default"), "statistic")

    return choose


def _dims(call: Call) -> Mapping[str, Any]:
    return {f"d{index}": dim for index, dim in enumerate(call.operands["self"])}


def _vector_norm(call: Call) -> Operator:
    """Zeros don't count in a norm of non-negative order. Norms of matrices are another thing, but for the default."""
    order = call.arguments["ord"] if "ord" in call.arguments else call.arguments["p"]
    matrix = call.target.startswith("aten.linalg_norm") and len(call.dim_list("dim", call.rank("self"))) > 1
    sums = order is None or (isinstance(order, (int, float)) and order >= 0 and not matrix)
    return _reduction(call, "contract" if sums else "rigid", 1, "self", Pattern, "norm")


_DIMS = ("op(t(B, 4, 5), [1])", "op(t(B, 4, 5), [-1, 1], True)", "op(t(3, 4), [0])", "op(t(4), [0])")
_DIM = ("op(t(B, 4, 5), 1)", "op(t(B, 4, 5), -1, True)", "op(t(4), 0)")
_ALL = ("op(t(3, 4, 5))", "op(t(4))", "op(t())")

RECORDS: tuple[Record, ...] = (
    _reduced(
        "sum.dim_IntList", kind="contract", doc="sum", samples=(*_DIMS, "op(t(3, 4), [])", "op(t(3, 4), None, True)")
    ),
    _reduced("sum.default", "nansum.default", kind="contract", doc="sum", samples=_ALL),
    _reduced(
        "mean.dim",
        kind="statistic",
        make=_Mean,
        doc="mean",
        samples=(*_DIMS, "op(t(3, 4), [])", "op(t(B, 4, 2, 2), [1, 2, 3])", "op(t(B, 4), [0, 1])"),
    ),
    _reduced("mean.default", kind="statistic", make=_Mean, doc="mean", samples=(*_ALL, "op(t(B, 4, 5))")),
    _reduced(
        "scfx.mean.default",
        kind="statistic",
        make=_Mean,
        doc="mean that keeps its count",
        samples=("op(t(B, 4, 5), [1], kept=4, count=7)", "op(t(3, 4), kept=12, count=20)"),
    ),
    _reduced("amax.default", "amin.default", doc="extremum", samples=_DIMS),
    _reduced("max.default", "min.default", "median.default", doc="extremum", samples=_ALL),
    _reduced(
        "max.dim", "min.dim", "median.dim", "nanmedian.dim", "mode.default", results=2, doc="extremum", samples=_DIM
    ),
    _reduced("kthvalue.default", results=2, doc="order", samples=("op(t(B, 4, 5), 2, 1)",)),
    _reduced("argmax.default", "argmin.default", zero="", doc="extremum's index", samples=_DIM),
    _reduced("prod.dim_int", doc="product", samples=_DIM),
    _reduced("prod.default", doc="product", samples=_ALL),
    _reduced("logsumexp.default", zero="", doc="log-sum-exp", samples=_DIMS),
    *(
        Choice(
            targets=(f"aten.{name}.correction", f"aten.{name}.dim"),
            doc=doc,
            choose=_spread(name),
            samples=(
                f"{name}.correction(t(B, 4, 5), [1])",
                f"{name}.correction(t(B, 4, 5), [-1, 1], correction=0, keepdim=True)",
                f"{name}.correction(t(3, 4))",
                f"{name}.dim(t(B, 4, 5), [1])",
                f"{name}.dim(t(B, 4, 5), [2], False, True)",
            ),
        )
        for name, doc in (("var", "variance"), ("std", "standard deviation"))
    ),
    *(
        Choice(
            targets=(f"scfx.{name}.default",),
            doc=f"{doc} that keeps its count",
            choose=_spread(name),
            samples=(
                "op(t(B, 4, 5), [1], True, correction=0, kept=4, count=7)",
                "op(t(3, 4), [0, 1], unbiased=True, kept=12, count=20)",
            ),
        )
        for name, doc in (("var", "variance"), ("std", "standard deviation"))
    ),
    _reduced("var.default", "std.default", doc="statistic", samples=("op(t(3, 4, 5))",)),
    _reduced(
        "var_mean.correction",
        "std_mean.correction",
        results=2,
        doc="statistic",
        samples=("op(t(B, 4, 5), [1], keepdim=True)",),
    ),
    _reduced(
        "var_mean.dim",
        "std_mean.dim",
        results=2,
        doc="statistic",
        samples=("op(t(B, 4, 5), [1])", "op(t(B, 4, 5), [2], False, True)"),
    ),
    _reduced("aminmax.default", results=2, doc="extremum", samples=("op(t(B, 4, 5), dim=1)", "op(t(3, 4))")),
    _reduced(
        "quantile.scalar",
        doc="order",
        samples=("op(t(3, 4, 5), 0.5, 1)", "op(t(3, 4), 0.2, 0, True)", "op(t(3, 4), 0.2)"),
    ),
    _reduced("any.dim", kind="contract", doc="whether any is not zero", samples=_DIM),
    _reduced("any.dims", kind="contract", doc="whether any is not zero", samples=_DIMS),
    _reduced("any.default", "count_nonzero.default", kind="contract", doc="count of non-zeros", samples=_ALL),
    _reduced(
        "count_nonzero.dim_IntList", kind="contract", doc="count of non-zeros", samples=("op(t(B, 4, 5), [1, 2])",)
    ),
    _reduced("all.dim", zero="", doc="whether all are not zero", samples=_DIM),
    _reduced("all.dims", zero="", doc="whether all are not zero", samples=_DIMS),
    _reduced("all.default", zero="", doc="whether all are not zero", samples=_ALL),
    Choice(
        targets=("aten.linalg_vector_norm.default",),
        doc="vector norm",
        choose=_vector_norm,
        samples=(
            "op(t(B, 4, 5), 2, [1])",
            "op(t(B, 4, 5), 1, [-1], True)",
            "op(t(3, 4))",
            "op(t(3, 4), float('inf'), [1])",
            "op(t(3, 4), -1, [1])",
            "op(t(3, 4), 0, [0])",
        ),
    ),
    Choice(
        targets=("aten.linalg_norm.default",),
        doc="norm of vectors or matrices",
        choose=_vector_norm,
        samples=("op(t(B, 4, 5), None, [1])", "op(t(B, 4, 5), 3, [2])", "op(t(3, 4))", "op(t(3, 4, 4), 2, [1, 2])"),
    ),
    Choice(
        targets=("aten.norm.ScalarOpt_dim", "aten.norm.Scalar"),
        doc="vector norm",
        choose=_vector_norm,
        samples=(
            "norm.ScalarOpt_dim(t(B, 4, 5), None, [1])",
            "norm.ScalarOpt_dim(t(B, 4, 5), 3, [1, 2], True)",
            "norm.Scalar(t(3, 4), 2)",
        ),
    ),
)
