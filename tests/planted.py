"""Wrong rules for the tests of the oracle, each with a network on which it goes wrong."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scfx.signatures import TABLE
from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record


@dataclass(frozen=True, eq=False)
class Planted:
    """A wrong rule, the operator that it is planted for, and what a network does with that operator."""

    name: str
    target: str
    record: Record
    use: Callable[[Any, Tensor], Tensor]
    groups: int = 1
    """Groups of the convolution in the middle."""

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        return Sandwich(self.use, self.groups).double()

    def example(self) -> tuple[Tensor, ...]:
        return (torch.randn(2, 3, 5, 5, dtype=torch.float64),)


class Sandwich(nn.Module):
    """A convolution, something in between that keeps the shape, another convolution, and a linear layer."""

    def __init__(self, use: Callable[["Sandwich", Tensor], Tensor], groups: int) -> None:
        super().__init__()
        self.use = use
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.middle = nn.Conv2d(8, 8, 3, padding=1, groups=groups)
        self.last = nn.Conv2d(8, 6, 3)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(torch.tanh(self.last(self.use(self, self.first(x)))).mean((2, 3)))
        return y


def changed(target: str, **changes: Any) -> Record:
    """Return an operator's own record with other attributes; a callable gets the right value."""

    def change(operator: Operator) -> Operator:
        values = {k: v(getattr(operator, k)) if callable(v) else v for k, v in changes.items()}
        return replace(operator, **values)

    record = TABLE[target]
    if isinstance(record, Operator):
        return change(record)

    def choose(call: Call) -> Operator:
        return change(record.for_call(call))

    return Choice(targets=record.targets, choose=choose)


def pointwise(target: str, count: int = 1, zero: str = "self") -> Pattern:
    """Return a record that treats every index of equally shaped operands on its own, and keeps zeros."""
    return Pattern(
        targets=(target,),
        signature=f"{', '.join(['*b'] * count)} -> *b",
        operands=("self", "other")[:count],
        pointwise="*b",
        zero=zero,
    )


def _normalised_weight(net: Sandwich, x: Tensor) -> Tensor:
    normal = F.batch_norm(net.middle.weight.view(1, 8, -1), None, None, training=True)
    return F.conv2d(x, normal.view(8, 8, 3, 3), padding=1)


PLANTED = (
    Planted(
        "batch norm is pointwise along batch and space",
        "aten.batch_norm.default",
        changed("aten.batch_norm.default", pointwise="b c *s", statistic="", counted=None),
        _normalised_weight,
    ),
    Planted(
        "group norm forgets its count",
        "aten.group_norm.default",
        changed("aten.group_norm.default", counted=None),
        lambda net, x: F.group_norm(x, 2),
    ),
    Planted(
        "group norm is pointwise",
        "aten.group_norm.default",
        changed("aten.group_norm.default", pointwise="b G c", statistic="", counted=None, zero="input*weight + bias"),
        lambda net, x: F.group_norm(x, 2),
    ),
    Planted(
        "layer norm forgets its count",
        "aten.layer_norm.default",
        changed("aten.layer_norm.default", counted=None),
        lambda net, x: F.layer_norm(x.permute(0, 2, 3, 1), (8,)).permute(0, 3, 1, 2),
    ),
    Planted(
        "a mean forgets its count",
        "aten.mean.dim",
        changed("aten.mean.dim", counted=None),
        lambda net, x: x + x.mean(1, keepdim=True),
    ),
    Planted(
        "softmax is pointwise",
        "aten.softmax.int",
        pointwise("aten.softmax.int"),
        lambda net, x: torch.softmax(x, 1),
    ),
    Planted(
        "sigmoid keeps zeros",
        "aten.sigmoid.default",
        pointwise("aten.sigmoid.default"),
        lambda net, x: torch.sigmoid(x),
    ),
    Planted(
        "a sum is zero where either operand is",
        "aten.add.Tensor",
        pointwise("aten.add.Tensor", 2, "self*other"),
        lambda net, x: torch.relu(x) + net.middle(x),
    ),
    Planted(
        "a convolution has no groups",
        "aten.conv2d.default",
        changed(
            "aten.conv2d.default",
            signature="b i *s, o j *k, o -> b o *t",
            pointwise="b o",
            contract="i j",
            sizes={},
        ),
        lambda net, x: net.middle(x),
        groups=4,
    ),
    Planted(
        "a convolution does not need its bias to be zero",
        "aten.conv2d.default",
        changed("aten.conv2d.default", zero="input*weight"),
        lambda net, x: torch.sin(x),
    ),
    Planted(
        "a maximum is zero where either operand is",
        "aten.maximum.default",
        pointwise("aten.maximum.default", 2, "self*other"),
        lambda net, x: torch.maximum(x, net.middle(x)),
    ),
)
