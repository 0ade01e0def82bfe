"""Wrong rules for the operators of sequence models, each with a network on which it goes wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scfx.signatures.pattern import Pattern
from tests.planted import Planted, changed, pointwise


class Tokens(nn.Module):
    """A layer over features and one over positions, then something that keeps the shape, and two more layers.

    No layer but the first has a bias, so that positions can be zero all the way.
    """

    def __init__(self, use: Callable[["Tokens", Tensor], Tensor]) -> None:
        super().__init__()
        self.use = use
        self.first = nn.Linear(6, 8)
        self.positions = nn.Linear(5, 4, bias=False)
        self.query, self.key, self.value = (nn.Linear(8, 8, bias=False) for _ in range(3))
        self.shift = nn.Parameter(torch.randn(8))
        self.table = nn.Embedding(7, 8)
        self.last = nn.Linear(8, 6, bias=False)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.positions(self.first(x).transpose(1, 2)).transpose(1, 2)
        y: Tensor = self.head(torch.tanh(self.last(self.use(self, tokens))).mean(1))
        return y

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of two heads."""
        q, k, v = (f(x).unflatten(-1, (2, 4)).transpose(1, 2) for f in (self.query, self.key, self.value))
        return q, k, v


@dataclass(frozen=True, eq=False)
class PlantedSequence(Planted):
    """A wrong rule with a network on sequences."""

    use: Callable[[Tokens, Tensor], Tensor] = field(kw_only=True)

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        return Tokens(self.use).double()

    def example(self) -> tuple[Tensor, ...]:
        return (torch.randn(2, 5, 6, dtype=torch.float64),)


_SDPA = "aten.scaled_dot_product_attention.default"


def _attend(net: Tokens, x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(*net.heads(x)).transpose(1, 2).flatten(2)


def _attend_from_one(net: Tokens, x: Tensor) -> Tensor:
    """The only query is a mean, so that positions can go from the keys."""
    _, k, v = net.heads(x)
    q = net.query(x.mean(1, keepdim=True)).unflatten(-1, (2, 4)).transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _einsum(net: Tokens, x: Tensor) -> Tensor:
    q, k, v = net.heads(x)
    return (torch.einsum("bhid,bhjd->bhij", q, k) @ v).transpose(1, 2).flatten(2)


def _matmul(net: Tokens, x: Tensor) -> Tensor:
    q, k, v = net.heads(x)
    return torch.einsum("bhij,bhjd->bhid", q @ k.mT, v).transpose(1, 2).flatten(2)


def _look_up(net: Tokens, x: Tensor) -> Tensor:
    rows: Tensor = net.table((x[..., 0] * 9).long().remainder(7))
    return rows * F.linear(torch.tanh(F.linear(x, net.table.weight)), net.table.weight.t())


def _masked(net: Tokens, x: Tensor) -> Tensor:
    return x.masked_fill(x < 0.5, 1.0)


PLANTED_SEQUENCES: tuple[Planted, ...] = (
    PlantedSequence(
        "attention sums over its keys",
        _SDPA,
        changed(_SDPA, contract="d k", summed="query*key*value"),
        use=_attend_from_one,
    ),
    PlantedSequence(
        "attention is zero where the query is",
        _SDPA,
        changed(_SDPA, zero="query*value"),
        use=_attend,
    ),
    PlantedSequence(
        "attention needs no zero values",
        _SDPA,
        changed(_SDPA, zero="query*key"),
        use=_attend,
    ),
    PlantedSequence(
        "layer norm keeps zeros",
        "aten.layer_norm.default",
        changed("aten.layer_norm.default", zero="input*weight + bias"),
        use=lambda net, x: F.layer_norm(x, (8,)),
    ),
    PlantedSequence(
        "rms norm forgets its count",
        "aten.rms_norm.default",
        changed("aten.rms_norm.default", counted=None),
        use=lambda net, x: F.rms_norm(x, (8,), eps=0.1),
    ),
    PlantedSequence(
        "rms norm is pointwise",
        "aten.rms_norm.default",
        changed("aten.rms_norm.default", statistic="", counted=None, pointwise=lambda letters: f"{letters} c0"),
        use=lambda net, x: F.rms_norm(x, (8,), eps=0.1),
    ),
    PlantedSequence(
        "a variance forgets its count",
        "aten.var.dim",
        changed("aten.var.dim", counted=None, statistic=lambda letters: letters or "d2"),
        use=lambda net, x: x * torch.rsqrt(x.var(-1, keepdim=True, unbiased=False) + 0.1),
    ),
    PlantedSequence(
        "an embedding sums over its rows",
        "aten.embedding.default",
        changed("aten.embedding.default", contract="v", summed="weight"),
        use=_look_up,
    ),
    PlantedSequence(
        "softmax keeps zeros",
        "aten.softmax.int",
        pointwise("aten.softmax.int"),
        use=lambda net, x: torch.softmax(x, -1),
    ),
    PlantedSequence(
        "cumsum is pointwise",
        "aten.cumsum.default",
        pointwise("aten.cumsum.default"),
        use=lambda net, x: x.cumsum(-1),
    ),
    PlantedSequence(
        "einsum treats what it sums over alone",
        "aten.einsum.default",
        changed("aten.einsum.default", contract="", pointwise="b h i j d"),
        use=_einsum,
    ),
    PlantedSequence(
        "a matrix product treats what it sums over alone",
        "aten.matmul.default",
        changed("aten.matmul.default", contract="", pointwise="b0 b1 m n k"),
        use=_matmul,
    ),
    PlantedSequence(
        "a linear layer needs no zero bias",
        "aten.linear.default",
        changed("aten.linear.default", zero="input*weight"),
        use=lambda net, x: F.linear(torch.tanh(F.linear(x, net.query.weight, net.shift)), net.value.weight),
    ),
    PlantedSequence(
        "filling under a mask keeps zeros",
        "aten.masked_fill.Scalar",
        Pattern(
            targets=("aten.masked_fill.Scalar",),
            signature="*b, *b -> *b",
            operands=("self", "mask"),
            pointwise="*b",
            zero="self",
        ),
        use=_masked,
    ),
    PlantedSequence(
        "a norm of vectors is alone along them",
        "aten.linalg_vector_norm.default",
        changed("aten.linalg_vector_norm.default", contract="", pointwise="d0 d1 d2"),
        use=lambda net, x: F.normalize(x, dim=-1),
    ),
)
