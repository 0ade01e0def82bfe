"""Element-wise operators, broadcasting included: every index on its own, zero where a probe says so.

ATen tags its element-wise operators itself; those need no line here. Listed are the composite ones, which it doesn't
tag.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, reduce

import torch

from scfx.signatures.call import Call, Dims
from scfx.signatures.probe import Spread, spread
from scfx.signatures.record import Operator
from scfx.terms.dims import ONE, Dim
from scfx.terms.facts import Fact, Zeros, both, either, unknown


@dataclass(frozen=True, kw_only=True)
class Elementwise(Operator):
    """An operator that treats every element on its own, operands broadcast against each other.

    Attributes:
        zero: How zeros spread: "probe" runs the operator with operands at zero; an operand's name, "never" and
            "always" say it outright (for operators that draw random numbers, which a probe must not do).
    """

    makes_zeros: bool = False
    zero: str = "probe"

    def infer(self, call: Call) -> tuple[Dims, ...]:
        rank = len(call.result_shapes[0])
        result: list[Dim] = [ONE] * rank
        for dims in call.operands.values():
            for offset, dim in enumerate(reversed(dims), 1):
                if dim.size == 1:
                    continue
                if result[rank - offset].size == 1:
                    result[rank - offset] = dim
                else:
                    call.unify(result[rank - offset], dim)
        return (tuple(result),) * len(call.result_shapes)

    def zeros(self, call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        shape = call.result_shapes[0]
        if self.zero == "always":
            return (Zeros(tuple(map(unknown, shape)), True),)
        operands = [facts[name] for name in call.operands]
        found = self._spread(call)
        somewhere = {place for place, zeros in enumerate(operands) if zeros.anywhere}
        broken = [places for places in found.undefined if places <= somewhere]
        enough = [places for places in found.enough if not any(places < more for more in broken)]
        whole = any(all(operands[place].whole for place in places) for places in enough)
        made = [
            _along(offset, size, enough, operands) for offset, size in zip(range(-len(shape), 0), shape, strict=True)
        ]
        return (Zeros.of(made, whole),) * len(call.result_shapes)

    def fixed(self, call: Call, fixed: Mapping[str, Zeros], zeros: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        """Fixed where every operand is."""
        if call.computed or not call.operands:
            return super().fixed(call, fixed, zeros)
        shape, operands = call.result_shapes[0], [fixed[name] for name in call.operands]
        everyone = [frozenset(range(len(operands)))]
        made = [
            _along(offset, size, everyone, operands) for offset, size in zip(range(-len(shape), 0), shape, strict=True)
        ]
        return (Zeros.of(made, all(each.whole for each in operands)),) * len(call.result_shapes)

    def factors(self, call: Call) -> Collection[str]:
        names = list(call.operands)
        return (
            [names[place] for places in self._spread(call).enough if len(places) == 1 for place in places]
            if len(names) > 1
            else ()
        )

    def _spread(self, call: Call) -> Spread:
        names = tuple(call.operands)
        target = call.node.target
        if self.zero in names:
            return Spread(enough=(frozenset({names.index(self.zero)}),))
        if (
            self.zero != "probe"
            or not isinstance(target, torch._ops.OpOverload)
            or torch.Tag.nondeterministic_seeded in target.tags
        ):
            return Spread()
        return spread(target, names, call.arguments)


def _along(offset: int, size: int, enough: list[frozenset[int]], operands: list[Zeros]) -> Fact:
    """Zeros along one dimension of the result: where all operands of a choice that is enough are zero."""
    found: list[Fact] = []
    for places in enough:
        chosen = [operands[place] for place in places if not operands[place].whole]
        # An operand that is broadcast along the dimension, and not zero altogether, says nothing of single indices.
        if chosen and all(len(zeros.dims) >= -offset and zeros.dims[offset].size == size for zeros in chosen):
            found.append(reduce(both, (zeros.dims[offset] for zeros in chosen)))
    return reduce(either, found) if found else unknown(size)


def _untagged(
    *names: str,
    zero: str = "probe",
    copies: bool = False,
    doc: str = "element-wise",
    samples: tuple[str, ...] = (),
) -> Elementwise:
    targets = tuple(f"aten.{name}" for name in names)
    makes_zeros = zero == "always"
    return Elementwise(targets=targets, zero=zero, makes_zeros=makes_zeros, copies=copies, doc=doc, samples=samples)


#: The record of every operator that ATen itself tags as element-wise.
POINTWISE = Elementwise(targets=("aten.*",), doc="element-wise, by ATen's own tag")


@cache
def is_tagged(target: object) -> bool:
    """Whether ATen tags an operator as element-wise. It tags `equal` too, which makes one bool of two tensors."""
    return (
        isinstance(target, torch._ops.OpOverload)
        and torch.Tag.pointwise in target.tags
        and all(isinstance(result.type, torch.TensorType) for result in target._schema.returns)
    )


_ONE = "op(t(B, 4, 5))"
_TWO = ("op(t(B, 4, 5), t(B, 4, 5))", "op(t(B, 4, 5), t(4, 1))", "op(t(1, 4, 5), t(B, 1, 5))", "op(t(), t(3, 4))")
_SCALAR = ("op(t(B, 4, 5), 2.5)", "op(t(4), 0)")

RECORDS: tuple[Operator, ...] = (
    _untagged(
        "hardswish.default",
        "log_sigmoid.default",
        "selu.default",
        "relu6.default",
        "arctan.default",
        "fix.default",
        "absolute.default",
        "negative.default",
        "special_expit.default",
        "special_erf.default",
        "square.default",
        samples=(_ONE,),
    ),
    _untagged(
        "subtract.Tensor",
        "rsub.Tensor",
        "multiply.Tensor",
        "divide.Tensor",
        "floor_divide.default",
        "float_power.Tensor_Tensor",
        "greater.Tensor",
        "greater_equal.Tensor",
        "less.Tensor",
        "less_equal.Tensor",
        "not_equal.Tensor",
        "true_divide.Tensor",
        "isclose.default",
        samples=_TWO,
    ),
    _untagged(
        "subtract.Scalar",
        "multiply.Scalar",
        "divide.Scalar",
        "true_divide.Scalar",
        "floor_divide.Scalar",
        "float_power.Tensor_Scalar",
        "greater.Scalar",
        "greater_equal.Scalar",
        "less.Scalar",
        "less_equal.Scalar",
        "not_equal.Scalar",
        "fill.Scalar",
        samples=_SCALAR,
    ),
    _untagged(
        "__and__.Tensor",
        "__or__.Tensor",
        samples=("op(m(B, 4, 5), m(4, 1))", "op(i(B, 4, high=4), i(B, 4, high=4))"),
    ),
    _untagged("__and__.Scalar", "__or__.Scalar", samples=("op(i(B, 4, high=4), 2)", "op(m(B, 4), True)")),
    _untagged(
        "clip.default",
        "clamp.default",
        samples=("op(t(B, 4, 5), -0.5, 0.5)", "op(t(3, 4), 1.0)", "op(t(3, 4), None, 0.0)"),
    ),
    _untagged(
        "where.ScalarOther",
        "where.ScalarSelf",
        "where.Scalar",
        samples=(
            "where.ScalarOther(m(B, 4), t(B, 4), 0.0)",
            "where.ScalarSelf(m(4), 1.0, t(B, 4))",
            "where.Scalar(m(B, 4), 0.0, 1.0)",
        ),
    ),
    _untagged("copy.default", samples=("op(t(B, 4, 5), t(4, 1))",), doc="copies one over the other"),
    _untagged(
        "masked_fill.Tensor",
        "masked_fill.Scalar",
        samples=(
            "masked_fill.Scalar(t(B, 4, 5), m(4, 5), 0)",
            "masked_fill.Tensor(t(B, 4, 5), m(B, 1, 5), t())",
            "masked_fill.Scalar(t(4), m(4), 2.0)",
        ),
    ),
    _untagged(
        "clone.default",
        "contiguous.default",
        "detach.default",
        "detach_.default",
        "alias.default",
        "lift_fresh_copy.default",
        "lift_fresh.default",
        "_to_copy.default",
        "positive.default",
        "resolve_conj.default",
        "resolve_neg.default",
        zero="self",
        copies=True,
        doc="copies",
        samples=(_ONE,),
    ),
    _untagged(
        "to.dtype",
        "to.dtype_layout",
        "to.device",
        zero="self",
        copies=True,
        doc="casts",
        samples=(
            "to.dtype(t(B, 4, 5), torch.float32)",
            "to.dtype_layout(t(B, 4), dtype=torch.float64)",
            "to.device(t(3, 4), 'cpu', torch.int64)",
            "to.dtype(m(3, 4), torch.float64)",
        ),
    ),
    _untagged(
        "type_as.default",
        "to.other",
        zero="self",
        copies=True,
        doc="casts",
        samples=("op(t(B, 4, 5), m(B, 4, 5))",),
    ),
    _untagged(
        "dropout.default",
        "feature_dropout.default",
        zero="input",
        doc="dropout",
        samples=("op(t(B, 4, 5), 0.5, True)",),
    ),
    _untagged(
        "alpha_dropout.default",
        "feature_alpha_dropout.default",
        zero="never",
        doc="dropout that keeps the variance",
        samples=("op(t(B, 4, 5), 0.5, True)",),
    ),
    _untagged("rrelu.default", zero="self", doc="randomised leaky ReLU", samples=("op(t(B, 4, 5), 0.1, 0.3, True)",)),
    _untagged("zeros_like.default", zero="always", doc="zeros of the operand's shape", samples=(_ONE,)),
    _untagged("ones_like.default", zero="never", doc="ones of the operand's shape", samples=(_ONE,)),
    _untagged(
        "full_like.default", zero="never", doc="one value in the operand's shape", samples=("op(t(B, 4, 5), 0.5)",)
    ),
    _untagged(
        "rand_like.default",
        "randn_like.default",
        zero="never",
        doc="new values in the operand's shape",
        samples=(_ONE,),
    ),
    _untagged(
        "exponential.default",
        "uniform.default",
        "normal_functional.default",
        zero="never",
        doc="random numbers in the operand's shape",
        samples=(_ONE,),
    ),
    _untagged("empty_like.default", zero="never", doc="whatever, in the operand's shape", samples=(_ONE,)),
    _untagged("bernoulli.default", zero="self", doc="coin tosses", samples=("op(u(B, 4, 5))",)),
    _untagged("bernoulli.p", zero="never", doc="coin tosses", samples=("op(t(B, 4, 5), 0.5)",)),
)
