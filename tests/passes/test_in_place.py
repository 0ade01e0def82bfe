"""What the model wrote in place the code that runs writes in place, where nobody else looks; the graph never does."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import scfx
from tests.toys import images

X = images(3)


class Layers(nn.Module):
    """Two convolutions with batch norms for (batch, 3, height, width), and a function of both of them."""

    def __init__(self, function: Callable[[nn.Module, nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        channels = X.shape[1]
        self.first = nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6))
        self.second = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6))
        self.head, self.function = nn.Linear(6, 2), function

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.function(self.first, self.second, x).mean((2, 3)))
        return result


def residual(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = functional.relu(first(x), inplace=True)
    z: Tensor = second(y)
    z += y
    return z.relu_()


def out_of_place(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = functional.relu(first(x))
    return functional.relu(second(y) + y)


def read_before(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    twice = y * 2  # of the value as it was
    z: Tensor = second(twice) + y.relu_()
    return z


def a_view(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = second(first(x))
    y.flatten(2).relu_()
    return y


def read_by_backward(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = second(first(x))
    with torch.no_grad():
        y.add_(1.0)
    return y + torch.sigmoid(x[:, :1]).relu_()


def counted(net: scfx.CompressedModule) -> tuple[int, ...]:
    """How many values the code overwrites, and how many the graph does. Counters of batch norms are buffers."""
    made = [line for line in net.graph_module.code.splitlines() if "num_batches_tracked" not in line]
    targets = [str(node.target) for node in net.graph_module.graph.nodes if "tracked" not in str(node.args)]
    return tuple(sum(f"{name}_." in line for line in lines for name in ("relu", "add")) for lines in (made, targets))


@pytest.mark.parametrize(
    ("function", "count"), [(residual, 3), (out_of_place, 0), (read_before, 0), (a_view, 0), (read_by_backward, 0)]
)
def test_only_what_nobody_else_reads(function: Callable[[nn.Module, nn.Module, Tensor], Tensor], count: int) -> None:
    torch.manual_seed(0)
    model = Layers(function).double()
    net = scfx.compress(copy.deepcopy(model), X, dynamic=False, quantize=False)
    for training in (True, False):
        model.train(training)
        net.train(training)
        assert counted(net)[0] == count
        outputs = [each(X) for each in (model, net)]
        assert torch.equal(*outputs)
        for output in outputs:
            output.square().sum().backward()
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter.grad, net.get_parameter(name).grad)  # type: ignore[arg-type]


def test_a_removal_keeps_it_so_and_the_graph_is_functional() -> None:
    net = scfx.compress(Layers(residual).double(), X, dynamic=False)
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            if name.endswith((".bits", "first.1.bias", "second.1.bias")):
                tensor[:2] = 0
    expected = net.train()(X), net.eval()(X)
    assert net.prune()
    for training, before in ((False, expected[1]), (True, expected[0])):
        assert counted(net.train(training)) == (3, 0)
        assert torch.allclose(net(X), before)


class Activations(nn.Module):
    """Each activation behind a layer of its own, and one whose input has another reader."""

    def __init__(self) -> None:
        super().__init__()
        kinds = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU, nn.SiLU, nn.Hardswish, nn.GELU)
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(6, 6), kind()) for kind in kinds)
        self.twice = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        y: Tensor = self.twice(x)
        return y - torch.relu(y)


def test_at_the_end_activations_write_in_place(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 6, dtype=torch.float64)
    net = scfx.compress(Activations().double(), x, dynamic=False, quantize=False).eval()
    whole, final = net.finalize(fold=False), net.finalize()
    scfx.save(final, tmp_path / "net")
    loaded = scfx.load(tmp_path / "net")
    assert "_.default" not in whole.code
    for each in (final, loaded):
        assert each.code.count("_.default(") == 7
        assert not any(str(node.target).endswith("_.default") for node in each.graph.nodes)
        assert torch.equal(each(x), whole(x))
        each(x).sum().backward()
        for name, parameter in whole.named_parameters():
            (expected,) = torch.autograd.grad(whole(x).sum(), parameter)
            torch.testing.assert_close(each.get_parameter(name).grad, expected, rtol=1e-12, atol=1e-12)
