"""Programs on which something went wrong once, each as small as it could be made."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import scfx
from tests.oracle import check_exact


class FilterMadeOfTheInput(nn.Module):
    """Samples are folded into channels, so that the number of groups depends on the batch size and on the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.filters, self.head = nn.Conv1d(3, 8, 1), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.features(x))
        filters = self.filters(x.mean(2)).view(-1, 1, 1)
        folded = F.conv1d(x.view(1, -1, x.shape[2]), filters, groups=8 * x.shape[0])
        y: Tensor = self.head(folded.view(x.shape).mean(2))
        return y


class DivisorFromTheInput(nn.Module):
    """A product whose right side has one column for each sample: with constant keys it looks like a fixed weight."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.head = nn.Linear(6, 4), nn.Linear(6, 4, bias=False), nn.Linear(1, 3)

    def forward(self, x: Tensor) -> Tensor:
        query, key = F.elu(self.query(x)) + 1, F.elu(self.key(x)) + 1
        y: Tensor = self.head((query @ key.sum(1, keepdim=True).transpose(1, 2) + 0.5).mean(1))
        return y


def test_constants_of_each_sample_are_no_weights() -> None:
    model, x = DivisorFromTheInput().double(), torch.randn(2, 5, 6, dtype=torch.float64)
    with torch.no_grad():
        model.key.weight.zero_()
        model.query.weight[:2] = 0
        expected = model(x)
    final = scfx.compress(model, x, quantize=False).eval().finalize()
    torch.testing.assert_close(final(x), expected, rtol=1e-10, atol=1e-10)


PROGRAMS = ((FilterMadeOfTheInput, (2, 3, 5)),)


@pytest.mark.parametrize(("make", "shape"), PROGRAMS)
def test_pruning_is_exact(make: type[nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model, example = make().double(), (torch.randn(shape, dtype=torch.float64),)
    net = scfx.compress(model, example, quantize=False)
    outcomes = [
        check_exact(copy.deepcopy(model), example, net=copy.deepcopy(net), seed=seed, rounds=2) for seed in range(4)
    ]
    assert any(outcome.removed for outcome in outcomes)
