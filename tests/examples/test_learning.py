"""The loop that all examples share."""

from collections.abc import Iterator

import pytest
import torch
from torch import Generator, Tensor, nn

import scfx
from examples.learning import Epoch, Recipe, optimizer_for, settle_depths, start_depths, train
from examples.resnet9 import ResNet9
from scfx.demo.measuring import size_of
from scfx.nodes.quantizer import Quantizer


class Line:
    """Points on a line."""

    steps = 10

    def batches(self, generator: Generator) -> Iterator[Tensor]:
        for _ in range(self.steps):
            yield torch.randn(16, 6, generator=generator)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return nn.functional.mse_loss(model(batch), batch[:, :1])

    def score(self, model: nn.Module) -> float:
        model.eval()
        return 1.0


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))


def compressed() -> scfx.CompressedModule:
    return scfx.compress(network(), torch.randn(4, 6))


def test_depths_stop_once_the_size_is_reached() -> None:
    net = compressed()
    recipe = Recipe(epochs=20, gamma=3.0, until=3.0, quantizer_lr=0.1)
    start_depths(net, 6.0)
    epochs = train(net, Line(), recipe, Line.steps)
    original = size_of(network()).weights
    bits = [epoch.weight_bits / original for epoch in epochs]
    assert bits[0] > 3
    assert 1 < bits[-1] <= 3
    after = next(number for number, each in enumerate(bits) if each <= 3)
    assert after < len(bits) - 2
    for _, quantizer in net.quantizers():
        assert torch.equal(quantizer.bits, quantizer.bits.round()), "stored in whole bits, so whole bits may be used"
    assert len(set(bits[after + 1 :])) == 1


def test_scales_can_stop_with_the_depths() -> None:
    def moved_last(settled_rate: float) -> bool:
        net, seen = compressed(), []
        start_depths(net, 3.0)
        recipe = Recipe(epochs=3, gamma=1.0, until=4.0, quantizer_lr=0.1, settled_rate=settled_rate)

        def note(_: Epoch) -> None:
            seen.append([quantizer.exponent.detach().clone() for _, quantizer in net.quantizers()])

        train(net, Line(), recipe, Line.steps, note)
        return any(not torch.equal(a, b) for a, b in zip(*seen[-2:], strict=True))

    assert moved_last(1.0)
    assert not moved_last(0.0)


def test_without_an_end_depths_keep_falling() -> None:
    epochs = train(compressed(), Line(), Recipe(epochs=6, gamma=3.0, quantizer_lr=0.1), Line.steps)
    bits = [epoch.weight_bits for epoch in epochs]
    assert bits == sorted(bits, reverse=True)
    assert len(set(bits)) > 3


def test_settling_changes_no_size() -> None:
    net = compressed()
    with torch.no_grad():
        for _, quantizer in net.quantizers():
            quantizer.bits.copy_(torch.linspace(0.2, 5, len(quantizer.bits)))
    before = size_of(net)
    settle_depths(net)
    assert size_of(net) == before
    for _, quantizer in net.quantizers():
        assert torch.equal(quantizer.bits, quantizer.storage_bits().to(quantizer.bits.dtype))


def test_another_start_is_as_compress_would_choose_it() -> None:
    net = compressed()
    start_depths(net, 3.0)
    for path, quantizer in net.quantizers():
        weight = net.get_parameter(path.removesuffix("_quantizer"))
        assert torch.equal(quantizer.bits, torch.full_like(quantizer.bits, 3.0))
        assert torch.equal(quantizer.exponent, Quantizer(weight, quantizer.dims, bits=3.0).exponent)
        assert (quantizer(weight) - weight).norm() < 0.25 * weight.norm()


@pytest.mark.parametrize("make", [network, compressed])
def test_every_parameter_is_trained_once(make: object) -> None:
    assert callable(make)
    model = make()
    optimizer = optimizer_for(model, Recipe(epochs=1, weight_decay=0.5))
    owned = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(map(id, owned)) == sorted(map(id, model.parameters()))
    for group in optimizer.param_groups:
        assert all((group["weight_decay"] == 0.5) == (parameter.dim() > 1) for parameter in group["params"])


def test_both_networks_get_the_same_batches() -> None:
    seen: list[list[Tensor]] = []

    class Spy(Line):
        def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
            seen[-1].append(batch)
            return super().loss(model, batch)

    for model in (network(), compressed()):
        seen.append([])
        train(model, Spy(), Recipe(epochs=2, gamma=1.0), Line.steps)
    dense, other = seen
    assert len(dense) == 20
    assert all(torch.equal(a, b) for a, b in zip(dense, other, strict=True))


def test_resnet9_is_the_papers() -> None:
    assert size_of(ResNet9()).weights == 6_568_640
