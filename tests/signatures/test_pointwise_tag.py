"""ATen's own tag for element-wise operators is believed: here it is checked on every operator that carries it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._ops import OpOverload

import scfx.signatures
from scfx.signatures import TABLE
from scfx.signatures.elementwise import POINTWISE, is_tagged
from tests.signatures.harness import check
from tests.signatures.samples import Operand, Sample

#: What an argument of each type is: two numbers that most operators are defined for.
_NUMBERS = {"number": 2, "float": 0.5, "int": 2, "bool": False, "Optional[number]": 0.5, "Optional[float]": 0.5}


def _tagged() -> dict[str, OpOverload]:
    """All that carry the tag. Only the dispatcher knows all of them: `dir(torch.ops.aten)` lists those used so far."""
    found = {}
    for full_name in torch._C._dispatch_get_all_op_names():
        name, _, overload = full_name.removeprefix("aten::").partition(".")
        if full_name.startswith("aten::") and not name.endswith("_backward") and not overload.endswith("out"):
            target = getattr(getattr(torch.ops.aten, name), overload or "default", None)
            if target is not None and is_tagged(target) and not target._schema.is_mutable:
                found[str(target)] = target
    return {name: found[name] for name in sorted(found) if name not in TABLE}


TAGGED = _tagged()


def _sample(target: OpOverload, kind: Any) -> Sample:
    """The second tensor is broadcast, the third too."""
    shapes = iter([(3, 4, 5), (4, 1), (5,), (3, 1, 1)])
    arguments: dict[str, Any] = {}
    for argument in target._schema.arguments:
        words = str(argument.type)
        if words in {"Tensor", "Optional[Tensor]"}:
            arguments[argument.name] = Operand(next(shapes), kind, 4)
        elif not argument.has_default_value():
            arguments[argument.name] = _NUMBERS.get(words)
    given = [arguments.pop(a.name) for a in target._schema.arguments if not a.kwarg_only and a.name in arguments]
    return Sample(POINTWISE, "tagged", target, tuple(given), arguments)


def _runs(sample: Sample) -> bool:
    """Whether the operator takes such operands, zeros too: integers can't be divided by them."""
    try:
        sample.target(
            *(torch.zeros(a.shape, dtype=a.meta().dtype) if isinstance(a, Operand) else a for a in sample.args),
            **sample.kwargs,
        )
    except (RuntimeError, NotImplementedError, TypeError):
        return False
    return True


@pytest.mark.parametrize("name", TAGGED)
def test_tagged_operators_are_element_wise(name: str) -> None:
    samples = [_sample(TAGGED[name], kind) for kind in ("float", "unit", "index", "mask")]
    running = [sample for sample in samples if _runs(sample)]
    if not running:
        pytest.skip("takes none of the samples")
    for sample in running:
        check(sample, rounds=3)


def test_an_operator_that_makes_a_bool_is_not_element_wise() -> None:
    target = torch.ops.aten.equal.default
    assert torch.Tag.pointwise in target.tags
    assert scfx.signatures.lookup(target) is None
