"""Slicing optimizer state, parameters and buffers: training goes on for the kept entries as if nothing had happened."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scfx.nodes.quantizer import Quantizer, bound_quantizers_
from scfx.surgery.optimizers import (
    Kept,
    check_optimizer,
    slice_buffer_,
    slice_optimizer,
    slice_parameter_,
    slice_tensor,
)

Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "sgd momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "sgd nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, foreach=True),
    "sgd fused": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, fused=True),
    "adam": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.01),
    "adam amsgrad": lambda p: torch.optim.Adam(p, 0.01, amsgrad=True, foreach=True),
    "adam fused": lambda p: torch.optim.Adam(p, 0.01, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01),
    "adamw foreach": lambda p: torch.optim.AdamW(p, 0.01, foreach=True, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.5, centered=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.1),
    "nadam": lambda p: torch.optim.NAdam(p, 0.01),
    "radam": lambda p: torch.optim.RAdam(p, 0.01),
    "adadelta": lambda p: torch.optim.Adadelta(p, 1.0),
    "adamax": lambda p: torch.optim.Adamax(p, 0.01),
    "asgd": lambda p: torch.optim.ASGD(p, 0.1),
    "rprop": lambda p: torch.optim.Rprop(p, 0.01),
}


def indices(*kept: list[int] | None) -> Kept:
    return tuple(None if each is None else torch.tensor(each, dtype=torch.int64) for each in kept)


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


PLAN = {
    (5, 4, 3, 3): indices([0, 2, 3], [1, 3], None, None),
    (5,): indices([0, 2, 3]),
    (6, 5): indices(None, [4, 0, 2]),
    (1,): indices(None),
    (): (),
}
"""Shapes of parameters and what is kept of them, one of them in another order."""


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_kept_entries_train_as_in_the_unsliced_parameters(name: str) -> None:
    """Equal but for the last rounding: a CPU's vector code rounds otherwise than that for a tensor's last entries."""
    whole = [nn.Parameter(random(*shape, seed=i)) for i, shape in enumerate(PLAN)]
    sliced = [nn.Parameter(each.detach().clone()) for each in whole]
    steppers = OPTIMIZERS[name](whole), OPTIMIZERS[name](sliced)
    groups = steppers[1].param_groups[0]["params"]
    for step in range(12):
        if step == 6:
            check_optimizer(steppers[1], {str(i): each for i, each in enumerate(sliced)})
            plan = dict(zip(sliced, PLAN.values(), strict=True))
            slice_optimizer(steppers[1], plan)
            for parameter, kept in plan.items():
                slice_parameter_(parameter, kept)
        for i, (big, small, kept) in enumerate(zip(whole, sliced, PLAN.values(), strict=True)):
            big.grad = random(*big.shape, seed=100 * step + i)
            small.grad = slice_tensor(big.grad.clone(), kept) if step >= 6 else big.grad.clone()
        for stepper in steppers:
            stepper.step()
    assert steppers[1].param_groups[0]["params"] is groups
    for big, small, kept in zip(whole, sliced, PLAN.values(), strict=True):
        torch.testing.assert_close(slice_tensor(big.detach(), kept), small.detach(), rtol=1e-13, atol=1e-14)
        assert any(each is small for each in groups)
        for key, value in steppers[0].state[big].items():
            wanted = slice_tensor(value, kept) if value.shape == big.shape else value
            torch.testing.assert_close(steppers[1].state[small][key], wanted, rtol=1e-13, atol=1e-14, msg=key)


class Tiny(nn.Module):
    """Two convolutions and a linear layer with a quantizer each. No bias, so that a zero-bit filter is dead at once."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            [random(6, 2, 3, 3, seed=1) / 4, random(5, 6, 3, 3, seed=2) / 7, random(3, 5, seed=3)]
        )
        self.quantizers = nn.ModuleList(Quantizer(weight, 0) for weight in self.weights)

    def forward(self, x: Tensor) -> Tensor:
        first, second, last = (q(w) for q, w in zip(self.quantizers, self.weights, strict=True))
        x = F.conv2d(F.conv2d(x, first, padding=1).relu(), second, padding=1).relu()
        return F.linear(x.mean((2, 3)), last)


@pytest.mark.parametrize("name", ["sgd momentum", "sgd nesterov", "adam", "adamw", "rmsprop", "adagrad"])
def test_a_net_with_dead_channels_trains_the_same_whether_they_are_removed_or_not(name: str) -> None:
    """The loop keeps `loss`, and with it the graph of the step before, alive while the parameters are sliced."""
    whole, sliced = Tiny(), Tiny()
    alive = {0: [0, 1, 4], 1: [0, 2, 3, 4], 2: [0, 1, 2]}
    plan: dict[str, Kept] = {}
    for layer, outputs in alive.items():
        inputs = alive.get(layer - 1)
        plan[f"weights.{layer}"] = indices(outputs, inputs, *[None] * (whole.weights[layer].dim() - 2))
        for entry in ("bits", "exponent", "dead"):
            plan[f"quantizers.{layer}.{entry}"] = indices(outputs)
    steppers = OPTIMIZERS[name](whole.parameters()), OPTIMIZERS[name](sliced.parameters())
    for step in range(20):
        for net, stepper in zip((whole, sliced), steppers, strict=True):
            x, target = random(8, 2, 5, 5, seed=step), random(8, 3, seed=50 + step)
            size = sum(q.depth().sum() for q in net.quantizers if isinstance(q, Quantizer))
            loss = (net(x) - target).square().mean() + 1e-2 * size
            stepper.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            stepper.step()
            if step == 8:
                with torch.no_grad():
                    for layer, outputs in alive.items():
                        quantizer = net.quantizers[layer]
                        assert isinstance(quantizer, Quantizer)
                        gone = [channel for channel in range(len(quantizer.bits)) if channel not in outputs]
                        quantizer.bits[gone] = -0.1
            bound_quantizers_(q for q in net.quantizers if isinstance(q, Quantizer))
            if step == 10 and net is sliced:
                named = dict(net.named_parameters())
                check_optimizer(stepper, named)
                slice_optimizer(stepper, {named[key]: kept for key, kept in plan.items() if key in named})
                for key, kept in plan.items():
                    if key in named:
                        slice_parameter_(named[key], kept)
                    else:
                        slice_buffer_(net.get_buffer(key), kept)
    x = random(4, 2, 7, 7, seed=99)
    torch.testing.assert_close(sliced(x), whole(x), rtol=1e-10, atol=1e-13)
    big, small = whole.state_dict(), sliced.state_dict()
    for key, kept in plan.items():
        torch.testing.assert_close(small[key], slice_tensor(big[key], kept), rtol=1e-10, atol=1e-13)
    assert small["weights.1"].shape == (4, 3, 3, 3)


def test_a_parameter_keeps_identity_hooks_gradient_and_memory_format() -> None:
    parameter = nn.Parameter(random(4, 3, 2, 2, seed=0).to(memory_format=torch.channels_last))
    calls: list[str] = []
    parameter.register_hook(lambda grad: calls.append("hook"))
    parameter.register_post_accumulate_grad_hook(lambda each: calls.append("accumulated"))
    before, storage = parameter.detach().clone(), parameter.untyped_storage().data_ptr()
    loss = parameter.square().sum()
    loss.backward()
    kept = indices([3, 1], [0, 2], None, None)
    slice_parameter_(parameter, kept)
    wanted = before[[3, 1]][:, [0, 2]]
    assert torch.equal(parameter.detach(), wanted)
    assert parameter.grad is not None
    assert torch.equal(parameter.grad, 2 * wanted)
    assert parameter.is_contiguous(memory_format=torch.channels_last)
    assert parameter.untyped_storage().data_ptr() != storage
    assert parameter.untyped_storage().nbytes() == parameter.numel() * 8
    calls.clear()
    parameter.square().sum().backward()
    assert calls == ["hook", "accumulated"]
    assert torch.equal(parameter.grad, 4 * wanted)
    assert loss.grad_fn is not None  # the old graph was alive all along


def test_memory_formats_and_dense_strides_are_kept() -> None:
    strided = random(4, 5, seed=0).t()
    assert slice_tensor(strided, indices([0, 1], [2, 3, 1])).stride() == (1, 2)
    pointwise = torch.empty(6, 4, 1, 1, memory_format=torch.channels_last)
    assert pointwise.stride() == (4, 1, 4, 4)
    assert slice_tensor(pointwise, indices(None, [0, 1, 2], None, None)).stride() == (3, 1, 3, 3)
    volume = torch.randn(2, 3, 2, 2, 2).to(memory_format=torch.channels_last_3d)
    kept = slice_tensor(volume, indices(None, [0, 2], None, None, None))
    assert kept.is_contiguous(memory_format=torch.channels_last_3d)
    whole = indices(None, None)
    assert slice_tensor(strided, whole) is strided
    assert slice_tensor(strided, indices([], None)).shape == (0, 4)


def test_a_buffer_stays_the_same_object_under_all_its_names() -> None:
    module = nn.Module()
    module.register_buffer("one", torch.arange(4.0))
    assert isinstance(module.one, Tensor)
    module.register_buffer("two", module.one)
    slice_buffer_(module.one, indices([1, 3]))
    assert module.two is module.one
    assert module.state_dict()["two"].tolist() == [1, 3]
    slice_buffer_(module.one, indices(None))
    assert module.state_dict()["one"].tolist() == [1, 3]


def test_frozen_sparse_and_half_parameters() -> None:
    frozen = nn.Parameter(torch.randn(3, 2), requires_grad=False)
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], 0.1)
    check_optimizer(optimizer, {"frozen": frozen})
    assert slice_optimizer(optimizer, {frozen: indices([1], None)}) == 0
    slice_parameter_(frozen, indices([1], None))
    assert frozen.shape == (1, 2)
    assert frozen not in optimizer.state  # which would otherwise be saved with it

    table = nn.Embedding(6, 4, sparse=True)
    table(torch.tensor([1, 4])).sum().backward()
    assert isinstance(table.weight, nn.Parameter)
    slice_parameter_(table.weight, indices([0, 4], [0, 1, 3]))
    assert table.weight.grad is not None
    assert table.weight.grad.to_dense().tolist() == [[0, 0, 0], [1, 1, 1]]

    half = nn.Parameter(torch.randn(3, 2, dtype=torch.bfloat16))
    slice_parameter_(half, indices([1], None))
    assert half.dtype == torch.bfloat16
    assert half.is_leaf
    assert half.requires_grad


def test_state_in_containers_and_counters_of_shape_one() -> None:
    parameter = nn.Parameter(torch.arange(3.0))
    lone = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter, lone], 0.1)
    history = (torch.arange(3.0), [torch.arange(3.0) + 1])
    optimizer.state[parameter] = {"history": history, "by": {"a": torch.arange(3.0)}, "step": torch.ones(1), "n": 7}
    optimizer.state[lone] = {"step": torch.ones(1), "exp_avg": torch.ones(1)}
    check_optimizer(optimizer, {"p": parameter, "q": lone})
    assert slice_optimizer(optimizer, {parameter: indices([0, 2]), lone: indices([])}) == 3
    state: dict[str, Any] = optimizer.state[parameter]
    assert state["history"][0].tolist() == [0, 2]
    assert state["history"][1][0].tolist() == [1, 3]
    assert state["by"]["a"].tolist() == [0, 2]
    assert (state["step"].tolist(), state["n"]) == ([1], 7)
    assert optimizer.state[lone]["step"].shape == (1,)
    assert optimizer.state[lone]["exp_avg"].shape == (0,)
