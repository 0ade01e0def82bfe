"""What optimizer surgery refuses, with a message that helps and nothing changed."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scfx.errors import OptimizerError, PlanError
from scfx.surgery.optimizers import Kept, check_optimizer, slice_buffer_, slice_optimizer, slice_parameter_


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def indices(*kept: list[int] | None) -> Kept:
    return tuple(None if each is None else torch.tensor(each, dtype=torch.int64) for each in kept)


def stepped(
    kind: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer], *shapes: tuple[int, ...]
) -> tuple[torch.optim.Optimizer, dict[str, nn.Parameter]]:
    """Returns an optimizer of that kind after one step on parameters p0, p1, ... of the given shapes."""
    named = {f"p{i}": nn.Parameter(random(*shape, seed=i)) for i, shape in enumerate(shapes)}
    optimizer = kind(named.values())
    for parameter in named.values():
        parameter.grad = parameter.detach().clone()
    optimizer.step()
    return optimizer, named


class Rowwise(torch.optim.SGD):
    """An optimizer with a number for each row, whose meaning is its own."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        super().step(closure)
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["row_var"] = parameter.detach().square().sum(-1, keepdim=True)


def test_unknown_state_is_named() -> None:
    optimizer, named = stepped(Rowwise, (), (4, 6))
    message = r"Rowwise keeps 'row_var' of shape \(4, 1\) for p1 of shape \(4, 6\).*SGD, Adam or AdamW"
    with pytest.raises(OptimizerError, match=message):
        check_optimizer(optimizer, named)
    with pytest.raises(OptimizerError, match="Rowwise keeps 'row_var'"):
        check_optimizer([stepped(torch.optim.Adam, (2,))[0], optimizer], named)
    check_optimizer(optimizer, {"p0": named["p0"]})


def test_what_the_optimizer_does_not_own_is_named_in_short() -> None:
    optimizer, named = stepped(torch.optim.Adam, (2,))
    others = {f"other{i}": nn.Parameter(torch.ones(2)) for i in range(8)}
    message = r"Adam does not own 8 of the 9 .*\(other0, other1, other2, other3, other4 and 3 more\).*compressed module"
    with pytest.raises(OptimizerError, match=message):
        check_optimizer(optimizer, named | others)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (None, "expected a torch.optim.Optimizer, got builtins.NoneType"),
        (torch.optim.SGD, "expected a torch.optim.Optimizer, got builtins.type"),
        ([], "got none"),
        ([torch.optim.SGD([nn.Parameter(torch.ones(2))]), None], "got builtins.NoneType"),
        (torch.optim.LBFGS([nn.Parameter(torch.ones(2))]), "one flat history"),
    ],
)
def test_what_is_no_sliceable_optimizer_is_refused(optimizer: object, message: str) -> None:
    with pytest.raises(OptimizerError, match=message):
        check_optimizer(optimizer, {})


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (indices([0]), "1 index tensors were given"),
        (indices([0, 3], None), r"indices 0 .. 3 do not fit dim 0 .*\(3, 2\); has it been sliced already"),
        (indices(None, [-1]), r"indices -1 .. -1 do not fit dim 1"),
        ((torch.tensor([[0]]), None), "1-D and int64"),
        ((torch.tensor([True, False, True]), None), r"1-D and torch.bool"),
    ],
)
def test_a_plan_that_does_not_fit_changes_nothing(kept: Kept, message: str) -> None:
    optimizer, named = stepped(torch.optim.Adam, (4,), (3, 2))
    first, second = named.values()
    state, values = copy.deepcopy(optimizer.state_dict()), second.detach().clone()

    def pointers() -> list[int]:
        held = [(each, each.grad, *optimizer.state[each].values()) for each in (first, second)]
        return [tensor.data_ptr() for tensors in held for tensor in tensors if tensor is not None]

    before = pointers()
    for act in (
        lambda: slice_optimizer(optimizer, {first: indices([1]), second: kept}),
        lambda: slice_optimizer(torch.optim.SGD([second]), {second: kept}),
        lambda: slice_parameter_(second, kept),
        lambda: slice_buffer_(second, kept),
    ):
        with pytest.raises(PlanError, match=message):
            act()
    assert pointers() == before
    assert torch.equal(second.detach(), values)
    now = optimizer.state_dict()
    assert now["param_groups"] == state["param_groups"]
    for i in state["state"]:
        assert all(torch.equal(now["state"][i][key], value) for key, value in state["state"][i].items())
