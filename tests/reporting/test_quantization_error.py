"""How far quantization takes outputs, measured when a network is compressed and whenever asked."""

from collections.abc import Callable
from copy import deepcopy
from math import inf, isnan

import pytest
import torch
from torch import Tensor, nn

import scfx
from tests.toys import images, small


class Several(nn.Module):
    """Outputs of all kinds; the last but one is a lookup of what is largest, and the one before counts its calls."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(6, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor, scale: Tensor) -> dict[str, Tensor]:
        self.calls += 1
        logits = self.first(x * scale)
        masked = self.second(x).masked_fill(x[:, :1] > 0, float("-inf"))
        return {
            "logits": logits,
            "masked": masked,
            "calls": self.calls.clone(),
            "best": logits.argmax(1),
            "zero": 0 * x,
        }


def off(quantized: Tensor, exact: Tensor) -> float:
    quantized, exact = quantized.detach().double(), exact.detach().double()
    return float((quantized - exact).norm() / exact.norm())


def test_the_start_is_measured_against_the_model_and_shown() -> None:
    torch.manual_seed(0)
    model, x, others = small(), images(6), images(4, seed=1)
    model(images(16, seed=2))  # so that the running statistics are not those of a batch
    net = scfx.compress(model, x, dynamic=False)
    state, random = deepcopy(net.state_dict()), torch.get_rng_state()
    model.eval()
    with torch.no_grad():
        exact, quantized = model(x), deepcopy(net).eval()(x)
    start = net.start_error
    assert start is not None
    assert start == pytest.approx(off(quantized, exact), rel=1e-9)
    assert 1e-4 < start < 0.02
    assert f"start_error={start:.2g}" in repr(net).splitlines()[1]
    assert deepcopy(net).start_error == start
    with torch.no_grad():
        for _, quantizer in net.quantizers():
            quantizer.bits.fill_(3)
    error = net.quantization_error(others)
    with torch.no_grad():
        assert error == pytest.approx(off(deepcopy(net).eval()(others), model(others)), rel=1e-9)
    assert error > 10 * start
    assert net.training
    assert torch.equal(random, torch.get_rng_state())
    changed = [name for name, value in net.state_dict().items() if not torch.equal(value, state[name])]
    assert all(name.endswith("quantizer.bits") for name in changed)


def test_the_worst_of_several_outputs_counts_and_buffers_stay() -> None:
    torch.manual_seed(0)
    inputs = {"x": torch.randn(8, 6), "scale": torch.full((8, 1), 2.0)}
    net = scfx.compress(Several(), inputs)
    with torch.no_grad():
        net.get_parameter("second.weight_quantizer.bits").fill_(2)
    before = deepcopy(net).eval()(**inputs)
    error = net.quantization_error(**inputs)
    with torch.no_grad():
        exact = inputs["x"] @ net.get_parameter("second.weight").T + net.get_parameter("second.bias")
    there = before["masked"].isfinite()
    assert error == pytest.approx(off(before["masked"][there], exact[there]), rel=1e-5)
    assert net.get_buffer("calls").item() == 0


def test_it_is_measured_after_a_removal_while_training() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 1, 4, 4)
    layers = [nn.Conv2d(1, 6, 1, bias=False), nn.Flatten(), nn.Unflatten(1, (6, 16)), nn.Flatten(), nn.Linear(96, 3)]
    net = scfx.compress(nn.Sequential(*layers), x)
    with torch.no_grad():
        net.get_parameter("0.weight_quantizer.bits")[:2] = 0
    report = net.train().prune()
    assert report.channels_after == report.channels_before - 2
    error = net.quantization_error(x)
    assert net.training
    assert error == net.eval().quantization_error(x)


class Made(nn.Module):
    """A linear layer, and what a function makes of its outputs."""

    def __init__(self, make: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.linear, self.make = nn.Linear(6, 5), make

    def forward(self, x: Tensor) -> object:
        return self.make(self.linear(x))


@pytest.mark.parametrize(
    "make", [lambda y: (y, y.sqrt()), lambda y: (y.sqrt(), y)], ids=["the last output", "the first output"]
)
def test_what_is_no_number_any_more_is_infinitely_far(make: Callable[[Tensor], object]) -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 6)
    net = scfx.compress(Made(make), x)
    with torch.no_grad():
        for _, quantizer in net.quantizers():
            quantizer.bits.fill_(2)
    assert net.quantization_error(x) == inf


def test_outputs_whose_squares_overflow_are_measured() -> None:
    torch.manual_seed(0)
    x, model = torch.randn(8, 6), nn.Linear(6, 5, bias=False)
    large = deepcopy(model)
    with torch.no_grad():
        large.weight *= 2.0**100
    assert scfx.compress(large, x).start_error == pytest.approx(scfx.compress(model, x).start_error, rel=0.02)


@pytest.mark.parametrize("make", [lambda y: y.argmax(1), lambda y: y / 0], ids=["whole numbers", "nothing finite"])
def test_where_nothing_can_be_compared_no_error_is_claimed(make: Callable[[Tensor], object]) -> None:
    torch.manual_seed(0)
    start = scfx.compress(Made(make), torch.randn(8, 6)).start_error
    assert start is not None
    assert isnan(start)


def test_nothing_is_measured_where_there_is_nothing() -> None:
    assert scfx.compress(nn.Linear(3, 2), torch.randn(2, 3), quantize=False).start_error is None
    with torch.device("meta"):
        assert scfx.compress(nn.Linear(3, 2), torch.randn(2, 3)).start_error is None
    assert scfx.compress(nn.Linear(3, 2), torch.randn(1, 3)).start_error is not None
    with pytest.raises(scfx.InputError, match="missing"):
        scfx.compress(nn.Linear(3, 2), torch.randn(2, 3)).quantization_error()
