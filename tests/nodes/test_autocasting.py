"""Operators that have a setting of autocast of their own."""

import pytest
import torch

from scfx.nodes.autocasting import is_cast, like, original, under

_aten = torch.ops.aten


@pytest.mark.parametrize(
    "operator", [_aten.matmul.default, _aten.einsum.default, _aten.softmax.int, _aten.conv2d.padding]
)
def test_autocast_may_change_it(operator: torch._ops.OpOverload) -> None:
    assert is_cast(operator)
    assert not is_cast(under(operator, (False, None)))


@pytest.mark.parametrize("operator", [_aten.mul.Tensor, _aten.reshape.default, _aten.to.dtype, _aten.add_.Tensor])
def test_autocast_leaves_it_alone(operator: torch._ops.OpOverload) -> None:
    assert not is_cast(operator)


def test_the_setting_around_it_does_not_matter() -> None:
    x = torch.randn(4, 4, requires_grad=True)
    off, on = (under(_aten.matmul.default, setting) for setting in ((False, None), (True, torch.float16)))
    exact, half = x @ x, x.half() @ x.half()
    for enabled in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            made = off(x, x)
            assert torch.equal(made, exact)
            assert torch.equal(on(x, x), half)
            assert torch.is_autocast_enabled("cpu") == enabled
        assert torch.equal(*(torch.autograd.grad(each.sum(), x, retain_graph=True)[0] for each in (made, exact)))


def test_each_operator_is_made_once_and_knows_what_it_stands_for() -> None:
    made = under(_aten.sum.dim_IntList, (False, None))
    assert made is under(_aten.sum.dim_IntList, (False, None)) is like(_aten.sum.dim_IntList, made)
    assert original(made) is _aten.sum.dim_IntList
    assert original(_aten.sum.dim_IntList) is like(_aten.sum.dim_IntList, _aten.mul.Tensor) is _aten.sum.dim_IntList
    assert made.tags == _aten.sum.dim_IntList.tags


def test_tensors_without_values_need_no_autocast() -> None:
    x = torch.empty(2, 2, device="meta")
    assert under(_aten.matmul.default, (False, None))(x, x).shape == (2, 2)
