"""ATen's own tag for element-wise operators is believed: here it is checked on every operator that carries it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._ops import OpOverload

from scfx.signatures import TABLE
from scfx.signatures.elementwise import POINTWISE
from tests.signatures.harness import check
from tests.signatures.samples import Operand, Sample

#: What an argument of each type is: two numbers that most operators are defined for.
_NUMBERS = {"number": 2, "float": 0.5, "int": 2, "bool": False, "Optional[number]": 0.5, "Optional[float]": 0.5}


def _tagged() -> dict[str, OpOverload]:
    found = {}
    for name in dir(torch.ops.aten):
        packet = getattr(torch.ops.aten, name)
        for overload in getattr(packet, "overloads", list)():
            target = getattr(packet, overload)
            if torch.Tag.pointwise in target.tags and not target._schema.is_mutable and not overload.endswith("out"):
                found[str(target)] = target
    return {name: target for name, target in found.items() if name not in TABLE and "_backward" not in name}


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
