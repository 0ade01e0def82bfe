"""Norms, scales and shifts in the layers beside them: what can be taken over is, nothing else, and nothing changes."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.nn import functional

import scfx
from tests.comparison import TOLERANCE, relative_error
from tests.files.networks import set_depths
from tests.networks import Network, _randomise, networks
from tests.observation import OneThread, float_outputs
from tests.test_random_networks import random_networks
from tests.toys import Residual, images, small


class Scale(nn.Module):
    """A number for each channel, by which it is multiplied, or which is added."""

    def __init__(self, *shape: int, add: bool = False) -> None:
        super().__init__()
        self.values, self.add = nn.Parameter(torch.rand(shape) + 0.5), add

    def forward(self, x: Tensor) -> Tensor:
        return self.values + x if self.add else x * self.values


class Turned(nn.Module):
    """A module on what has its channels last, of what has them in dim 1, or the other way round."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module(x.transpose(1, -1)).transpose(1, -1)
        return y


class Flat(nn.Module):
    """A norm over the features of a sequence, position by position."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x.flatten(0, 1)).reshape_as(x)
        return y


class Twice(nn.Module):
    """What a layer makes is read behind its norm and beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        z: Tensor = torch.relu(self.norm(y)) + y
        return z


class Shared(nn.Module):
    """Two layers with one weight, and a norm behind one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm, self.other = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
        self.other.weight = self.layer.weight

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.norm(self.layer(torch.tanh(self.other(x))))
        return z


class SharedBias(nn.Module):
    """Two layers with one bias, and a norm behind each."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(2))
        self.layers[1].bias = self.layers[0].bias

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.tanh(norm(layer(x)))
        return x


class Single(nn.Module):
    """A convolution of one sample alone, whose second dim is not its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(4, 6, 1), nn.BatchNorm1d(5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.layer(x[0]))
        return y


class Own(nn.Module):
    """A norm with its batch's own statistics in evaluation, too, and one that is written out, as detectors have it."""

    def __init__(self, written: bool) -> None:
        super().__init__()
        self.layer, self.written = nn.Conv2d(4, 6, 3, padding=1), written
        self.register_buffer("mean", torch.randn(6))
        self.register_buffer("deviation", torch.rand(6) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        if not self.written:
            return functional.batch_norm(y, None, None, training=True)
        y = (y - self.get_buffer("mean").view(-1, 1, 1)) / self.get_buffer("deviation").view(1, -1, 1, 1)
        return y * 2 + 1


def sequence(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers)


#: Networks on (batch, 4, 5, 5), and of how many nodes nothing is left if weights are quantized, and if they aren't.
CASES: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "behind": (lambda: sequence(nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)), 1, 1),
    "groups": (lambda: sequence(nn.Conv2d(4, 6, 3, 2, groups=2), nn.BatchNorm2d(6, affine=False)), 1, 1),
    "depthwise": (lambda: sequence(nn.Conv2d(4, 8, 3, groups=4), nn.BatchNorm2d(8), nn.BatchNorm2d(8)), 2, 2),
    "transposed": (lambda: sequence(nn.ConvTranspose2d(4, 6, 3), nn.BatchNorm2d(6)), 1, 1),
    "transposed_groups": (lambda: sequence(nn.ConvTranspose2d(4, 6, 2, 2, groups=2), nn.BatchNorm2d(6)), 1, 1),
    "transposed_before": (lambda: sequence(nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 6, 3)), 0, 0),
    "before": (lambda: sequence(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3)), 0, 1),
    "before_groups": (lambda: sequence(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2, bias=False)), 0, 1),
    "before_depthwise": (lambda: sequence(nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3, groups=4, padding="valid")), 1, 1),
    "before_padding": (lambda: sequence(nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3, groups=4, padding="same")), 0, 0),
    "scale_before_padding": (lambda: sequence(Scale(4, 1, 1), nn.Conv2d(4, 4, 3, groups=4, padding=1)), 1, 1),
    "number_before": (lambda: sequence(Scale(1), nn.Conv2d(4, 6, 3, padding=1), Scale(1), Scale()), 3, 3),
    "sequence": (lambda: Turned(sequence(nn.Linear(4, 6), Scale(6), Scale(1, 6, add=True), nn.ReLU())), 2, 2),
    "turned": (lambda: sequence(Turned(nn.Linear(4, 6)), nn.BatchNorm2d(6)), 1, 1),
    "turned_before": (lambda: sequence(nn.BatchNorm2d(4), Turned(nn.Linear(4, 6))), 0, 1),
    "flat": (lambda: sequence(nn.Flatten(2), Turned(sequence(nn.Linear(4, 6), Flat(6)))), 1, 1),
    "instance": (lambda: sequence(nn.Conv2d(4, 6, 3), nn.InstanceNorm2d(6, track_running_stats=True)), 1, 1),
    "positions": (lambda: sequence(nn.Conv2d(4, 6, 3), Scale(3, 1, add=True)), 0, 0),
    "activation": (lambda: sequence(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.BatchNorm2d(6)), 0, 0),
    "padding_between": (lambda: sequence(nn.BatchNorm2d(4), nn.ZeroPad2d(1), nn.Conv2d(4, 6, 3)), 0, 0),
    "twice": (Twice, 0, 0),
    "shared": (Shared, 0, 0),
    "shared_bias": (SharedBias, 2, 2),
    "single": (Single, 0, 0),
    "batch": (lambda: Own(False), 0, 0),
    "written": (lambda: Own(True), 6, 6),
}


class Every(nn.Module):
    """All cases at once, so that one capture does."""

    def __init__(self) -> None:
        super().__init__()
        self.cases = nn.ModuleDict({name: make() for name, (make, _, _) in CASES.items()})
        randomised(self)
        norm = self.cases["behind"][1]  # type: ignore[index]
        with torch.no_grad():
            norm.weight[:2] = torch.tensor([0.0, -0.7])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {name: case(x) for name, case in self.cases.items()}


def inputs(count: int = 3) -> Tensor:
    return torch.randn(count, 4, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(count))


@cache
def finalized(quantize: bool) -> tuple[fx.GraphModule, fx.GraphModule]:
    """The network as it is, and folded."""
    torch.manual_seed(0)
    net = scfx.compress(Every().double(), inputs(), quantize=quantize, dynamic=False).eval()
    if quantize:
        set_depths(net)
    return net.finalize(fold=False), net.finalize()


def operators(net: fx.GraphModule, case: str) -> int:
    """How many operators make what a case puts out."""
    names = list(CASES)
    (outputs,) = (node.args[0] for node in net.graph.nodes if node.op == "output")
    results = outputs if isinstance(outputs, dict) else dict(zip(names, outputs, strict=True))
    found, pending = set(), [results[case]]
    while pending:
        node = pending.pop()
        assert isinstance(node, fx.Node)
        if node.op == "call_function" and node not in found:
            found.add(node)
            pending.extend(node.all_input_nodes)
    return len(found)


@pytest.mark.parametrize("quantize", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_what_can_be_taken_over_is_and_nothing_changes(case: str, quantize: bool) -> None:
    whole, folded = finalized(quantize)
    gone = operators(whole, case) - operators(folded, case)
    assert gone == CASES[case][1 if quantize else 2]
    for count in (1, 3):
        assert relative_error(folded(inputs(count))[case], whole(inputs(count))[case]) < 1e-10


def randomised(model: nn.Module) -> nn.Module:
    """The model in float64, with statistics as after some training."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            _randomise(module)
    return model.double()


def called(net: fx.GraphModule) -> set[str]:
    """The names of the operators of a graph."""
    return {str(node.target).split(".")[1] for node in net.graph.nodes if node.op == "call_function"}


def test_a_fold_too_many_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking a norm away although what it reads has a second reader changes the outputs."""
    torch.manual_seed(0)
    net = scfx.compress(randomised(Twice()), inputs(), quantize=False, dynamic=False).eval()
    assert "batch_norm" in called(net.finalize())
    monkeypatch.setattr("scfx.removal.folds.read_once", lambda node: True)
    wrong = net.finalize()
    assert "batch_norm" not in called(wrong)
    assert relative_error(wrong(inputs()), net(inputs())) > 0.01


def test_nothing_that_inference_does_not_need(tmp_path: Path) -> None:
    """A convolutional network is convolutions, activations and sums; whole numbers and bits are those that were."""
    torch.manual_seed(0)
    net = scfx.compress(randomised(Residual()), images(2)).eval()
    set_depths(net)
    whole, folded = net.finalize(fold=False), net.finalize()
    assert called(folded) == {"conv2d", "relu", "add", "cat", "mean", "linear"}
    assert {node.op for node in folded.graph.nodes} == {"placeholder", "get_attr", "call_function", "output"}
    assert {name.rpartition(".")[2] for name in folded.state_dict()} == {"weight", "bias"}
    assert folded.meta["bits"] == whole.meta["bits"]
    assert folded.meta["scales"].keys() == whole.meta["scales"].keys()
    changed = 0
    for name, scales in whole.meta["scales"].items():
        codes, others = (net_.get_parameter(name) / net_.meta["scales"][name] for net_ in (whole, folded))
        torch.testing.assert_close(others.nan_to_num(), codes.nan_to_num(), rtol=1e-12, atol=1e-12)
        changed += not torch.equal(scales, folded.meta["scales"][name])
    assert changed == 6
    for net_ in (whole, folded):
        scfx.save(net_, tmp_path / "net")
        assert torch.equal(scfx.load(tmp_path / "net")(images(3)), net_(images(3)))
    torch.testing.assert_close(folded(images(3)), net(images(3)), rtol=1e-10, atol=1e-12)
    assert net.training is False
    assert "batch_norm" in net.graph_module.code


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_narrow_numbers(dtype: torch.dtype, tmp_path: Path) -> None:
    """The same to as many digits as there are, through a file to the bit."""
    torch.manual_seed(0)
    net = scfx.compress(randomised(small()).to(dtype), images(2).to(dtype), dynamic=False).eval()
    folded = net.finalize()
    assert "batch_norm" not in called(folded)
    x = images(3).to(dtype)
    torch.testing.assert_close(folded(x), net(x), rtol=0, atol=1e-5 if dtype is torch.float32 else 0.05)
    scfx.save(folded, tmp_path / "net")
    assert torch.equal(scfx.load(tmp_path / "net")(x), folded(x))


@pytest.mark.parametrize(("var", "scale", "taken"), [(-1, 1, False), (1e38, 1e-30, False), (torch.inf, 1, True)])
def test_numbers_that_get_lost_keep_their_norm(var: float, scale: float, taken: bool) -> None:
    """The root of a negative variance is none, and of a number that small in float32 few digits are left."""
    net = scfx.compress(nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)), inputs().float(), dynamic=False).eval()
    with torch.no_grad():
        net.get_buffer("1.running_var")[2] = var
        net.get_parameter("1.weight")[2] = scale
    folded, x = net.finalize(), inputs().float()
    assert ("batch_norm" not in called(folded)) == taken
    torch.testing.assert_close(folded(x), net(x), equal_nan=True)


@OneThread()
@settings(random_networks, max_examples=6)
@given(networks(most=8, favourites=("batch_norm", "scale", "transposed")), st.integers(0, 100))
def test_random_networks(network: Network, seed: int) -> None:
    net = scfx.compress(network.build(seed), network.example(), dynamic=False).eval()
    whole, folded = (float_outputs(net.finalize(fold)(*network.example(3))) for fold in (False, True))
    if not all(output.isfinite().all() for output in whole):
        reject()
    for expected, found in zip(whole, folded, strict=True):
        assert relative_error(found, expected, floor=1e-3) < TOLERANCE
