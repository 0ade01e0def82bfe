"""Optimizers that count entries go on as if those that went, and were zero, were still there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import scfx
from scfx.surgery.counting import forget_, keep_counting
from scfx.surgery.optimizers import Kept, check_optimizer, slice_optimizer, slice_parameter_, slice_tensor
from tests.toys import Residual, images

Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

MUONS: dict[str, Make] = {
    "original": lambda p: torch.optim.Muon(p, 0.1, weight_decay=0.1),
    "rms": lambda p: torch.optim.Muon(p, 0.1, adjust_lr_fn="match_rms_adamw", nesterov=False),
}
ADAFACTORS: dict[str, Make] = {
    "plain": torch.optim.Adafactor,
    "clipped": lambda p: torch.optim.Adafactor(p, 0.1, weight_decay=0.1, foreach=False),
    "together": lambda p: torch.optim.Adafactor(p, 0.3, foreach=True, maximize=True),
    "bounded below": lambda p: torch.optim.Adafactor(p, 0.1, eps=(1.0, 3.0)),
    "bounded a little": lambda p: torch.optim.Adafactor(p, torch.tensor(0.1).double(), eps=(0.3, 0.1), d=10.0),
}


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def indices(*kept: list[int] | None) -> Kept:
    return tuple(None if each is None else torch.tensor(each) for each in kept)


def masks(shape: tuple[int, ...], kept: Kept) -> tuple[Tensor | None, ...]:
    """What goes along each dim."""
    return tuple(
        None if index is None else torch.ones(size, dtype=torch.bool).index_fill(0, index, False)
        for size, index in zip(shape, kept, strict=True)
    )


#: What is kept first, and then of that. Matrices that are wide, high, and change from one to the other.
MATRICES: dict[tuple[int, ...], tuple[Kept, Kept]] = {
    (4, 9): (indices([0, 2, 3], None), indices(None, [1, 2, 4, 5, 6])),
    (9, 4): (indices([0, 1, 4, 5, 6], None), indices([0, 2], [1, 2, 3])),
    (6, 5): (indices([1, 2, 5], [0, 1, 2, 3]), indices(None, [0, 2, 3])),
    (3, 3): (indices(None, None), indices(None, None)),
}
OTHERS: dict[tuple[int, ...], tuple[Kept, Kept]] = {
    (5, 4, 3, 2): (indices([0, 2, 3], [1, 3], None, None), indices([0, 2], None, None, None)),
    (3, 4, 5): (indices([0, 2], None, [0, 1, 3]), indices(None, [0, 1, 3], None)),
    (7,): (indices([0, 1, 4, 5]), indices([0, 3])),
    (): ((), ()),
}


def steps(make: Make, shapes: dict[tuple[int, ...], tuple[Kept, Kept]], removing: bool) -> list[Tensor]:
    """Trains on random gradients; after 4 and after 8 steps entries get no gradient any more, and may be removed.

    Returns:
        What is left at the end of each parameter.
    """
    parameters = [nn.Parameter(random(*shape, seed=i)) for i, shape in enumerate(shapes)]
    optimizer = make(parameters)
    keep_counting(optimizer, {p: tuple(p.shape) for p in parameters}, stepped=False)
    groups = copy.copy(optimizer.param_groups)
    for step in range(14):
        for i, (parameter, (shape, kept)) in enumerate(zip(parameters, shapes.items(), strict=True)):
            grad = random(*shape, seed=100 * step + i) * 0.3
            for part in range((step >= 4) + (step >= 8)):
                if removing:
                    grad = slice_tensor(grad, kept[part])
                else:
                    for dim, mask in enumerate(gone(shape, kept, part)):
                        grad = grad if mask is None else grad.index_fill(dim, mask.nonzero().view(-1), 0)
            parameter.grad = grad
        optimizer.step()
        assert all(now is before for now, before in zip(optimizer.param_groups, groups, strict=True))
        if step in (3, 7):
            part = int(step == 7)
            for parameter, (shape, kept) in zip(parameters, shapes.items(), strict=True):
                if removing:
                    forget_(optimizer, parameter, masks(tuple(parameter.shape), kept[part]))
                    check_optimizer(optimizer, {"parameter": parameter})
                    slice_optimizer(optimizer, {parameter: kept[part]})
                    slice_parameter_(parameter, kept[part])
                else:
                    forget_(optimizer, parameter, gone(shape, kept, part))
    if removing:
        return [parameter.detach() for parameter in parameters]
    return [
        slice_tensor(slice_tensor(parameter.detach(), first), second)
        for parameter, (first, second) in zip(parameters, shapes.values(), strict=True)
    ]


def gone(shape: tuple[int, ...], kept: tuple[Kept, Kept], part: int) -> tuple[Tensor | None, ...]:
    """What has gone of the original entries after the first or the second removal."""
    left = [torch.arange(size) for size in shape]
    for each in kept[: part + 1]:
        left = [old if index is None else old[index] for old, index in zip(left, each, strict=True)]
    return masks(shape, tuple(left))


@pytest.mark.parametrize("name", MUONS)
def test_muon(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rounded = [steps(MUONS[name], MATRICES, removing) for removing in (True, False)]
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    exact = [steps(MUONS[name], MATRICES, removing) for removing in (True, False)]
    for results, tolerance in ((rounded, 0.05), (exact, 1e-12)):
        for small, whole in zip(*results, strict=True):
            torch.testing.assert_close(small, whole, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ADAFACTORS)
def test_adafactor(name: str) -> None:
    small, whole = (steps(ADAFACTORS[name], MATRICES | OTHERS, removing) for removing in (True, False))
    for one, other in zip(small, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_step_that_fails_leaves_nothing_behind() -> None:
    parameter = nn.Parameter(random(6, 5, seed=0))
    optimizer = torch.optim.Adafactor([parameter])
    keep_counting(optimizer, {parameter: (12, 7)}, stepped=False)
    groups = optimizer.param_groups
    grad = parameter.grad = random(6, 5, seed=1)
    with pytest.raises(ZeroDivisionError):
        optimizer.step(lambda: 1 / 0)
    optimizer.step()
    assert optimizer.param_groups is groups
    assert parameter.grad is grad


def test_an_optimizer_made_after_channels_went_has_to_be_attached() -> None:
    net = scfx.compress(Residual().double(), images(2))
    matrices: list[Any] = [p for p in net.parameters() if p.dim() == 2]
    others = [p for p in net.parameters() if p.dim() != 2]
    with torch.no_grad():
        net.get_parameter("branch.weight_quantizer.bits")[:3] = 0
        net.get_parameter("branch.bias")[:3] = 0
    assert net.prune()
    late = [torch.optim.Muon(matrices), torch.optim.SGD(others, 0.1)]
    known = [torch.optim.Muon(matrices), torch.optim.SGD(others, 0.1)]
    net.attach(known)
    net(images(4)).sum().backward()
    for optimizer in late + known:
        optimizer.step()
    with pytest.raises(scfx.OptimizerError, match=r"Muon counts .* 1 had lost.*net.attach\(optimizer\)"):
        net.update(late)
    net.update(known)


def test_wrapped_optimizers_are_taken_for_what_is_in_them() -> None:
    class Wrapper(torch.optim.Optimizer):
        def __init__(self, optimizer: torch.optim.Optimizer) -> None:
            self.optimizer = optimizer

    parameter = nn.Parameter(random(4, 3, seed=0))
    optimizer = torch.optim.Adafactor([parameter])
    parameter.grad = random(4, 3, seed=1)
    optimizer.step()
    wrapped = Wrapper(optimizer)
    check_optimizer(wrapped, {"parameter": parameter})
    assert slice_optimizer(wrapped, {parameter: indices([0], None)}) == 2
    assert optimizer.state[parameter]["row_var"].shape == (1, 1)
