"""Which parameters get a quantizer, along which dims, and what is said of the others."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import scfx
from tests.graphs import graph_of

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Between(nn.Module):
    """A weight that `use` takes 8 features to 12 with, between two linear layers."""

    def __init__(self, shape: tuple[int, ...], use: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(6, 8)
        self.weight = nn.Parameter(torch.randn(shape))
        self.last = nn.Linear(12, 3)
        self.use = use
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.use(torch.relu(self.first(x)), self.weight).relu())
        return result


def experts(x: Tensor, weight: Tensor) -> Tensor:
    """All experts on each sample, and their mean."""
    return torch.bmm(x.expand(3, -1, -1), weight).mean(0)


def routed(x: Tensor, weight: Tensor) -> Tensor:
    """The expert of each sample, looked up by its first feature."""
    chosen = weight[(x[:, 0] > 0.5).long()]
    return torch.matmul(x.unsqueeze(1), chosen.transpose(1, 2)).squeeze(1)


def one_by_one(x: Tensor, weight: Tensor) -> Tensor:
    """Each expert in a linear layer of its own."""
    return F.linear(x, weight[0]) + F.linear(x, weight[1])


def chunked(x: Tensor, weight: Tensor) -> Tensor:
    query, key = weight.chunk(2)
    return F.linear(x, query).sigmoid() * F.linear(x, key)


def heads(x: Tensor, weight: Tensor) -> Tensor:
    return torch.einsum("bi,ihd->bhd", x, weight).flatten(1)


def from_the_left(x: Tensor, weight: Tensor) -> Tensor:
    return (weight @ x.T).T


def reshaped(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight.reshape(12, 8).t().contiguous()


#: The weight's shape, how it is used, and the dims that its pairs run along.
USES: dict[str, tuple[tuple[int, ...], Callable[[Tensor, Tensor], Tensor], tuple[int, ...]]] = {
    "experts": ((3, 8, 12), experts, (0, 2)),
    "routed": ((3, 12, 8), routed, (0, 1)),
    "one by one": ((2, 12, 8), one_by_one, (0, 1)),
    "chunked": ((24, 8), chunked, (0,)),
    "heads": ((8, 3, 4), heads, (1, 2)),
    "from the left": ((12, 8), from_the_left, (0,)),
    "reshaped": ((4, 3, 8), reshaped, (0, 1)),
}


@pytest.mark.parametrize("name", USES)
def test_a_pair_for_each_output_whatever_way_the_weight_takes(name: str) -> None:
    """And what is silent in all matrices of the weight goes, with no change to outputs and gradients."""
    shape, use, dims = USES[name]
    net = scfx.compress(Between(shape, use), X, dynamic=False).train()
    quantizer = dict(net.quantizers())["weight_quantizer"]
    sizes = [shape[dim] for dim in dims]
    assert quantizer.dims == dims
    assert quantizer.bits.numel() == math.prod(sizes)
    silent = [1, 13] if name == "chunked" else [1]  # of what is multiplied, both, or the other would still learn
    with torch.no_grad():
        quantizer.bits.view(sizes).index_fill_(-1, torch.tensor(silent), 0)
    outputs, gradients = run(net)
    assert net.prune()
    assert quantizer.bits.numel() == math.prod(sizes) // sizes[-1] * (sizes[-1] - len(silent))
    assert net.get_parameter("last.weight").shape[1] < 12
    again, kept = run(net)
    torch.testing.assert_close(again, outputs, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(kept, gradients, rtol=1e-10, atol=1e-12)


def test_what_is_silent_in_one_expert_only_counts_no_bits_and_stays() -> None:
    net = scfx.compress(Between((3, 8, 12), experts), X, dynamic=False)
    quantizer = dict(net.quantizers())["weight_quantizer"]
    with torch.no_grad():
        quantizer.bits.view(3, 12)[0, 1] = 0
    size = net.size().detach()
    assert not net.prune()
    assert torch.equal(net.size(), size)
    assert float(size) == pytest.approx(8 - 8 * 8 / (3 * 8 * 12 + 6 * 8 + 12 * 3))
    final = net.finalize()
    assert torch.equal(final(X), net.eval()(X))
    assert final.meta["bits"]["weight"] == [8 if n != 1 else 0 for n in range(36)]


def run(net: scfx.CompressedModule) -> tuple[Tensor, Tensor]:
    """The outputs, and the gradient of the inputs."""
    x = X.clone().requires_grad_()
    outputs = net(x)
    outputs.sin().sum().backward()
    assert x.grad is not None
    return outputs.detach(), x.grad


class Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        mean, deviation = self.weight.mean((1, 2, 3), keepdim=True), self.weight.std((1, 2, 3), keepdim=True)
        return F.conv2d(x, (self.weight - mean) / deviation, self.bias)


class Adapted(nn.Linear):
    """A linear layer with a low-rank adapter that is merged into its weight."""

    def __init__(self) -> None:
        super().__init__(6, 5)
        self.up, self.down = nn.Parameter(torch.randn(5, 2)), nn.Parameter(torch.randn(2, 6))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight + self.up @ self.down, self.bias)


class Placed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.places, self.layer = nn.Parameter(torch.randn(5, 6)), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x + self.places)
        return result


@pytest.mark.parametrize(
    ("model", "shape", "reasons"),
    [
        (Standardised(2, 4, 3), (2, 2, 6, 6), {"weight": "the weight of conv2d is computed from it, by mean"}),
        (
            Adapted(),
            (2, 6),
            {
                "weight": "the weight of linear is computed from it, by add",
                "up": "the weight of linear is computed from it, by matmul",
                "down": "the weight of linear is computed from it, by matmul",
            },
        ),
        (Placed(), (2, 5, 6), {"places": "it goes into add, which sums over no products with it"}),
        (
            nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 5))),
            (2, 6),
            {
                "0.parametrizations.weight.original1": "the weight of linear is computed from it, by _weight_norm",
            },
        ),
    ],
    ids=["standardised", "adapted", "position table", "weight norm"],
)
def test_parameters_that_are_no_weights_are_told_with_the_reason(
    model: nn.Module, shape: tuple[int, ...], reasons: dict[str, str]
) -> None:
    report = scfx.channel_graph(model, torch.randn(shape), dynamic=False).report()
    assert {each.name: each.reason for each in report.unquantized} == reasons
    text = str(report)
    assert "parameters of several dims that get no quantizer, and why:" in text
    assert all(name in text and reason in text for name, reason in reasons.items())


def test_of_a_network_whose_weights_all_have_one_nothing_is_told() -> None:
    report = graph_of("residual").report()
    assert report.unquantized == ()
    assert "no quantizer" not in str(report)
