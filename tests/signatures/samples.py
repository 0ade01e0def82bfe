"""Reads the one-line samples that stand beside the records: calls as Python expressions, without tensors yet.

In a sample `op` is each of the record's operators in turn (a sample that names another one, as in
`conv2d.padding(...)`, is for that one alone), `t(2, 3)` is a float tensor, `c(2, 3)` a complex one, `d(3, 3)`
a positive definite matrix, which stays one, `s(3)` a running statistic (positive, without a gradient, perhaps written),
`u(3)` lies between 0 and 1, `i(2, 3, high=5)` holds indices below 5, `p(2, 3, 4, 4)` places in space, `m(2, 3)` is
a boolean mask, `k(2, 3)` one that is true at every other place, and `B` a batch size that is symbolic in the graph.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch._ops import OpOverload, OpOverloadPacket

from scfx.signatures.record import Record
from scfx.terms.symbolic import FIRST_PRIME
from tests.signatures.foreign import declare_foreign

#: The batch size in a graph, and the one that samples are run with.
BATCH, REAL_BATCH = FIRST_PRIME, 3


Kind = Literal["float", "complex", "definite", "unit", "statistic", "index", "places", "mask", "stripes"]


@dataclass(frozen=True, eq=False)
class Operand:
    """A tensor argument: its shape in the graph and what its elements are."""

    shape: tuple[int, ...]
    kind: Kind = "float"
    high: int = 0

    def draw(self, generator: torch.Generator) -> Tensor:
        """A random tensor of the shape that the operator is run with."""
        shape = tuple(real(size) for size in self.shape)
        if self.kind == "index":
            return torch.randint(self.high, shape, generator=generator)
        if self.kind == "places":  # distinct ones, in each of the first two dims
            order = torch.rand(shape, generator=generator).flatten(2).argsort(-1)
            return order.reshape(shape)
        if self.kind == "stripes":
            return (torch.arange(math.prod(shape)) % 2 == 0).reshape(shape)
        if self.kind == "unit":
            return torch.rand(shape, generator=generator, dtype=torch.float64)
        if self.kind == "complex":
            return torch.randn(shape, generator=generator, dtype=torch.complex128)
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        if self.kind == "definite":
            return values @ values.mT + torch.eye(shape[-1], dtype=torch.float64)
        return values > 0 if self.kind == "mask" else values.abs() if self.kind == "statistic" else values

    def meta(self) -> Tensor:
        """A tensor without values, of the shape in the graph."""
        integers = {"index": torch.int64, "places": torch.int64, "mask": torch.bool, "stripes": torch.bool}
        dtype = torch.complex128 if self.kind == "complex" else integers.get(self.kind, torch.float64)
        return torch.empty(self.shape, dtype=dtype, device="meta")


@dataclass(frozen=True)
class Sample:
    """One call of one operator."""

    record: Record
    text: str
    target: OpOverload
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.target}: {self.text}"


def is_symbolic(size: object) -> bool:
    """Whether a size is a multiple of the symbolic batch size."""
    return isinstance(size, int) and size != 0 and size % BATCH == 0


def real(size: int) -> int:
    """A size of the graph as the operator is run with."""
    return size // BATCH * REAL_BATCH if is_symbolic(size) else size


def overload(name: str) -> OpOverload:
    """The operator with a qualified name such as "aten.conv2d.default"."""
    declare_foreign()
    found: Any = torch.ops
    for part in name.split("."):
        found = getattr(found, part)
    assert isinstance(found, OpOverload), f"{name} is no operator overload"
    return found


class _Namespace(dict[str, Any]):
    """The names of a sample's expression; any operator of ATen is one."""

    def __missing__(self, name: str) -> Any:
        return _Recorded(getattr(torch.ops.aten, name))


class _Recorded:
    """Stands for an operator in a sample: a call gives the operator and its arguments back."""

    def __init__(self, target: OpOverload | OpOverloadPacket) -> None:
        self._target = target

    def __getattr__(self, name: str) -> _Recorded:
        return _Recorded(getattr(self._target, name))

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[OpOverload, tuple[Any, ...], dict[str, Any]]:
        assert isinstance(self._target, OpOverload)
        return self._target, args, kwargs


def _tensor(*shape: int, kind: Kind = "float", high: int = 0) -> Operand:
    return Operand(shape, kind, high)


def read(record: Record, text: str, target: str) -> Sample:
    """A sample with `op` standing for one operator."""
    names = _Namespace(
        op=_Recorded(overload(target)),
        B=BATCH,
        t=_tensor,
        c=partial(_tensor, kind="complex"),
        d=partial(_tensor, kind="definite"),
        s=partial(_tensor, kind="statistic"),
        i=partial(_tensor, kind="index"),
        m=partial(_tensor, kind="mask"),
        k=partial(_tensor, kind="stripes"),
        u=partial(_tensor, kind="unit"),
        p=partial(_tensor, kind="places"),
        torch=torch,
        float=float,
    )
    found, args, kwargs = eval(text, {"__builtins__": {}}, names)
    return Sample(record, text, found, args, kwargs)


def samples_of(record: Record, texts: tuple[str, ...]) -> Iterator[Sample]:
    """The samples of a record: one that says `op` is for each of its operators, another for the one it names."""
    for text in texts:
        for target in record.targets if text.startswith("op(") else record.targets[:1]:
            yield read(record, text, target)
