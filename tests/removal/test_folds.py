"""Norms, scales and shifts in the layers beside them: what can be taken over is, nothing else, and nothing changes."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn

import scfx
from tests.comparison import TOLERANCE, relative_error
from tests.files.networks import set_depths
from tests.networks import Network, networks
from tests.observation import OneThread, float_outputs
from tests.removal.foldable import CASES, KINDS, Chain, Twice, randomised
from tests.test_random_networks import random_networks
from tests.toys import Residual, images, small


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
def test_random_chains() -> None:
    gone: Counter[str] = Counter()

    @settings(random_networks, max_examples=7)
    @given(st.lists(st.sampled_from(KINDS), min_size=4, max_size=9), st.integers(0, 1000))
    def check(kinds: list[str], seed: int) -> None:
        torch.manual_seed(seed)
        if not {"conv", "linear", "depthwise", "transposed"} & set(kinds):
            reject()
        x = torch.randn(2, 4, 9, 9, dtype=torch.float64)
        net = scfx.compress(Chain(kinds, seed), x, quantize=seed % 2 > 0, dynamic=False).eval()
        whole, folded = net.finalize(fold=False), net.finalize()
        for expected, found in zip(whole(x), folded(x), strict=True):
            assert relative_error(found, expected, floor=1e-3) < TOLERANCE
        counts = [Counter(str(node.target) for node in each.graph.nodes) for each in (whole, folded)]
        gone.update(counts[0] - counts[1])

    check()
    assert gone["aten.batch_norm.default"] >= 3
    assert gone["aten.mul.Tensor"] + gone["aten.add.Tensor"] >= 3


@OneThread()
@settings(random_networks, max_examples=2)
@given(networks(most=8, favourites=("batch_norm", "scale", "computed_weight")), st.integers(0, 100))
def test_random_networks(network: Network, seed: int) -> None:
    net = scfx.compress(network.build(seed), network.example(), dynamic=False).eval()
    whole, folded = (float_outputs(net.finalize(fold)(*network.example(3))) for fold in (False, True))
    if not all(output.isfinite().all() for output in whole):
        reject()
    for expected, found in zip(whole, folded, strict=True):
        assert relative_error(found, expected, floor=1e-3) < TOLERANCE
