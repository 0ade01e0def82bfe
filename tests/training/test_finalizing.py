"""`finalize` leaves a plain module: same outputs, nothing of scfx, and it goes wherever a GraphModule goes."""

import copy
import io

import pytest
import torch
from torch import Tensor, fx, nn

import scfx
from tests.test_compress import Documented, example
from tests.toys import Residual, images


def modules_of(module: nn.Module) -> set[str]:
    return {type(part).__module__.partition(".")[0] for part in module.modules()}


@pytest.mark.parametrize("fold", [False, True])
def test_same_outputs_without_anything_of_scfx(fold: bool) -> None:
    net = scfx.compress(Residual().double(), images(2)).eval()
    plain = net.finalize(fold)
    assert isinstance(plain, fx.GraphModule)
    assert not plain.training
    assert torch.equal(plain(images(5)), net(images(5))) != fold
    torch.testing.assert_close(plain(images(5)), net(images(5)), rtol=1e-10, atol=1e-12)
    assert modules_of(plain) <= {"torch"}
    assert "scfx" not in plain.code
    assert not any("quantizer" in name for name in plain.state_dict())
    assert not set(map(id, plain.parameters())) & set(map(id, net.parameters()))


def test_weights_hold_the_quantized_values() -> None:
    net = scfx.compress(nn.Linear(4, 3), torch.randn(2, 4))
    quantizer = dict(net.quantizers())["weight_quantizer"]
    weight = net.get_parameter("weight")
    assert torch.equal(net.finalize().get_parameter("weight"), quantizer(weight))
    assert not torch.equal(weight, quantizer(weight))


def test_counted_norms_are_written_out() -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.last = nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.Conv2d(8, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.last(torch.relu(self.norm(self.first(x)))).mean(1)
            return result

    net = scfx.compress(Normed().double(), torch.randn(2, 3, 6, 6, dtype=torch.float64), quantize=False).eval()
    x = torch.randn(5, 3, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        for name in ("first.weight", "first.bias", "norm.weight", "norm.bias"):
            net.get_parameter(name)[[1, 5]] = 0
    expected = net(x)
    assert net.prune()
    assert "scfx.group_norm" in net.graph_module.code
    torch.testing.assert_close(net(x), expected, rtol=1e-12, atol=1e-12)
    plain = net.finalize()
    assert "scfx" not in plain.code
    torch.testing.assert_close(plain(x), expected, rtol=1e-12, atol=1e-12)


class Constant(nn.Module):
    """Channels 0 and 1 are constants behind the activation, in the eval graph only; nothing behind them has a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.second, self.last = nn.Conv2d(8, 6, 1, bias=False), nn.Linear(6, 4, bias=False)
        with torch.no_grad():
            self.first.weight[:2] = 0
            nn.init.uniform_(self.norm.bias, 0.5, 1)
            nn.init.uniform_(self.norm.running_mean, 0.5, 1)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.second(self.drop(torch.sigmoid(self.norm(self.first(x))))).mean((2, 3)).relu())
        return y


@pytest.mark.parametrize("quantize", [False, True])
def test_constants_are_absorbed(quantize: bool) -> None:
    """In the eval graph alone they are constants; where there is no bias to hold them, there is one then."""
    torch.manual_seed(0)
    x = torch.randn(3, 3, 6, 6, dtype=torch.float64)
    net = scfx.compress(Constant().double(), x, quantize=quantize).eval()
    expected, state, code = net(x), copy.deepcopy(net.state_dict()), net.graph_module.code
    assert not net.prune(constants=True)
    plain = net.finalize(fold=False)
    torch.testing.assert_close(plain(x), expected, rtol=1e-10, atol=1e-10)
    assert {name: tuple(p.shape) for name, p in plain.named_parameters()} == {
        "first.weight": (6, 3, 3, 3),
        "norm.weight": (6,),
        "norm.bias": (6,),
        "second.weight": (6, 6, 1, 1),
        "second.bias": (6,),
        "last.weight": (4, 6),
    }
    assert net.graph_module.code == code
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())


def test_sizes_that_are_computed_are_those_of_the_copy() -> None:
    """A view's sizes name the batch, whose node is another one in the graph that finalize makes."""

    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.last(self.first(x).reshape(x.shape[0], 5, 2, 4).exp().reshape(x.shape[0], 5, 8))
            return y

    torch.manual_seed(0)
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    net = scfx.compress(Heads().double(), x, quantize=False).eval()
    with torch.no_grad():
        net.get_parameter("first.weight")[:4] = 0
    plain = net.finalize()
    assert plain.get_parameter("first.weight").shape == (4, 6)
    torch.testing.assert_close(plain(x[:2]), net(x[:2]), rtol=1e-10, atol=1e-10)


def test_what_rounds_to_zero_goes() -> None:
    """A channel with bits left whose weights all round to zero is dead for good."""
    torch.manual_seed(0)
    net = scfx.compress(nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2)).double(), torch.randn(3, 4).double()).eval()
    with torch.no_grad():
        net.get_parameter("0.weight_quantizer.exponent")[0] = 20
    x = torch.randn(5, 4).double()
    assert not net.prune()
    plain = net.finalize()
    assert plain.get_parameter("0.weight").shape == (5, 4)
    assert plain.meta["bits"] == {"0.weight": [8] * 5, "1.weight": [8] * 2}
    torch.testing.assert_close(plain(x), net(x), rtol=1e-10, atol=1e-10)


def test_called_as_the_model_is() -> None:
    net = scfx.compress(Documented(), example()).eval()
    plain = net.finalize()
    batch = {"x": torch.randn(5, 6)}
    expected = net(batch)
    for found in (plain(batch), plain(batch=batch)):
        assert found.keys() == expected.keys()
        torch.testing.assert_close(found, expected)


def test_constants_become_defaults() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor, scale: float = 2.0, flag: bool = True) -> Tensor:
            result: Tensor = self.layer(x) * scale
            return result

    plain = scfx.compress(Scaled(), torch.randn(2, 3)).finalize()
    x = torch.randn(4, 3)
    assert torch.equal(plain(x), plain(x, 2.0, True))


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "export"])
def test_goes_where_a_graph_module_goes(how: str) -> None:
    plain = scfx.compress(Residual().double(), images(2)).finalize()
    if how == "deepcopy":
        other: nn.Module = copy.deepcopy(plain)
    elif how == "pickle":
        stream = io.BytesIO()
        torch.save(plain, stream)
        stream.seek(0)
        other = torch.load(stream, weights_only=False)
    else:
        other = torch.export.export(plain, (images(2),)).module()
    assert torch.equal(other(images(2)), plain(images(2)))
