"""The counted operators: torch's own with nothing removed, and torch's own on the unpruned tensor where zeros were."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from scfx.nodes.counted import IMPLEMENTATIONS, batch_norm, group_norm, layer_norm, mean, rms_norm, std, var
from tests.oracle import check_exact

scfx_ops = torch.ops.scfx


def rand(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def padded(x: Tensor, dim: int, places: list[int], size: int) -> Tensor:
    """The tensor with zeros between its channels, so that it has its original size again."""
    shape = list(x.shape)
    shape[dim] = size
    return x.new_zeros(shape).index_copy(dim, torch.tensor(places), x)


KEPT = [1, 2, 5, 6]
"""The channels of 8 that are left; in two groups of four, two of each."""


@pytest.mark.parametrize("space", [(), (5,), (3, 4)])
@pytest.mark.parametrize("affine", [True, False])
def test_group_norm_of_what_is_left(space: tuple[int, ...], affine: bool) -> None:
    x = rand(3, 4, *space)
    weight, bias = (rand(4), rand(4)) if affine else (None, None)
    first, second = (None if v is None else padded(v, 0, KEPT, 8) for v in (weight, bias))
    expected = functional.group_norm(padded(x, 1, KEPT, 8), 2, first, second, 1e-3)
    actual = scfx_ops.group_norm(x, 2, weight, bias, 1e-3, False, 4)
    torch.testing.assert_close(actual, expected[:, KEPT])


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_of_what_is_left(affine: bool) -> None:
    x = rand(3, 2, 4)
    weight, bias = (rand(2), rand(2)) if affine else (None, None)
    expected = functional.batch_norm(padded(x, 2, KEPT, 8), None, None, weight, bias, True, 0.0, 1e-3)
    actual = scfx_ops.batch_norm(x, weight, bias, None, None, True, 0.0, 1e-3, False, 8)
    torch.testing.assert_close(actual, expected[..., KEPT])


@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm_of_what_is_left(affine: bool) -> None:
    x = rand(3, 2, 4)
    weight, bias = (rand(4), rand(4)) if affine else (None, None)
    first, second = (None if v is None else padded(v, 0, KEPT, 8) for v in (weight, bias))
    expected = functional.layer_norm(padded(x, 2, KEPT, 8), [8], first, second)
    torch.testing.assert_close(scfx_ops.layer_norm(x, [4], weight, bias, 1e-5, False, 8), expected[..., KEPT])


@pytest.mark.parametrize("affine", [True, False])
def test_rms_norm_of_what_is_left(affine: bool) -> None:
    x, weight = rand(3, 2, 4), rand(4) if affine else None
    full = None if weight is None else padded(weight, 0, KEPT, 8)
    expected = functional.rms_norm(padded(x, 2, KEPT, 8), [8], full, 1e-3)
    torch.testing.assert_close(scfx_ops.rms_norm(x, [4], weight, 1e-3, 8), expected[..., KEPT])


@pytest.mark.parametrize("keepdim", [True, False])
def test_mean_of_what_is_left(keepdim: bool) -> None:
    x = rand(3, 4, 5)
    full = padded(x, 1, KEPT, 8)
    torch.testing.assert_close(scfx_ops.mean(x, [1, 2], keepdim, kept=4, count=8), full.mean([1, 2], keepdim))
    torch.testing.assert_close(scfx_ops.mean(x, kept=4, count=8), full.mean())


@pytest.mark.parametrize("name", ["var", "std"])
@pytest.mark.parametrize("keepdim", [True, False])
def test_spread_of_what_is_left(name: str, keepdim: bool) -> None:
    x = rand(3, 4, 5)
    full, counted, usual = padded(x, 1, KEPT, 8), getattr(scfx_ops, name), getattr(torch, name)
    actual = counted(x, [1, -1], keepdim, correction=0, kept=4, count=8)
    torch.testing.assert_close(actual, usual(full, (1, 2), correction=0, keepdim=keepdim))
    torch.testing.assert_close(counted(x, [1], kept=4, count=8), usual(full, 1))
    torch.testing.assert_close(counted(x, [1], unbiased=False, kept=4, count=8), usual(full, 1, unbiased=False))


def test_a_deviation_of_zero_has_no_slope() -> None:
    x = torch.ones(2, 4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(scfx_ops.std(x, [1], kept=4, count=4).sum(), [x])
    (expected,) = torch.autograd.grad(torch.std(x, 1).sum(), [x])
    assert not gradient.any()
    torch.testing.assert_close(gradient, expected)


def test_the_gradients_are_those_of_the_unpruned_tensor() -> None:
    x = rand(3, 4, 5).requires_grad_()
    weight = rand(4).requires_grad_()
    actual = scfx_ops.group_norm(x, 2, weight, None, 1e-5, False, 4)
    expected = functional.group_norm(padded(x, 1, KEPT, 8), 2, padded(weight, 0, KEPT, 8))[:, KEPT]
    cotangent = rand(*actual.shape)
    for a, b in zip(
        torch.autograd.grad((actual * cotangent).sum(), [x, weight]),
        torch.autograd.grad((expected * cotangent).sum(), [x, weight]),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


CALLS: dict[str, tuple[Callable[..., Tensor], tuple[object, ...], dict[str, object]]] = {
    "scfx.group_norm.default": (group_norm, (2, None, None, 1e-5, False, 6), {}),
    "scfx.batch_norm.default": (batch_norm, (None, None, None, None, True, 0.0, 1e-5, False, 6), {}),
    "scfx.layer_norm.default": (layer_norm, ([4], None, None, 1e-5, False, 9), {}),
    "scfx.rms_norm.default": (rms_norm, ([4], None, 1e-5, 9), {}),
    "scfx.var.default": (var, ([1],), {"kept": 4, "count": 6}),
    "scfx.std.default": (std, ([1, 2],), {"correction": 0, "kept": 4, "count": 6}),
    "scfx.mean.default": (mean, ([1],), {"kept": 4, "count": 6}),
}


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_each_can_be_written_out_in_a_graph(name: str) -> None:
    function, args, kwargs = CALLS[name]
    assert IMPLEMENTATIONS[name] is function

    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x, *args, **kwargs)

    x = rand(3, 4, 4)
    traced = fx.symbolic_trace(Model())
    torch.testing.assert_close(traced(x), function(x, *args, **kwargs))


class WrittenOut(nn.Module):
    """Layer norm as people write it: the mean and the deviation of the features, a scale and a shift."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 2)
        self.scale, self.shift = nn.Parameter(rand(6)), nn.Parameter(rand(6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y = self.scale * (y - y.mean(-1, keepdim=True)) / (y.std(-1, keepdim=True) + 1e-2) + self.shift
        result: Tensor = self.last(y) + y.var(1, unbiased=False).unsqueeze(1)
        return result


def test_a_norm_that_is_written_out_loses_channels() -> None:
    outcome = check_exact(WrittenOut().double(), (rand(3, 4),), name="written out", everything_first=True, rounds=2)
    assert outcome.removed


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision_is_as_torch_has_it(dtype: torch.dtype, autocast: bool) -> None:
    """The dtype of the input also where scale and shift are in single precision, and as exact as with none removed."""
    torch.manual_seed(0)
    x, weight, bias = (20 + torch.randn(3, 512)).to(dtype), torch.randn(512), torch.randn(512)
    with torch.autocast("cpu", dtype=dtype, enabled=autocast):
        pairs = [
            (
                functional.layer_norm(x, [512], weight, bias),
                scfx_ops.layer_norm(x, [512], weight, bias, 1e-5, False, 512),
            ),
            (functional.rms_norm(x, [512], weight.to(dtype), 1e-5), scfx_ops.rms_norm(x, [512], weight, 1e-5, 512)),
            (functional.group_norm(x, 2, weight, bias), scfx_ops.group_norm(x, 2, weight, bias, 1e-5, False, 256)),
            (x.var(1), scfx_ops.var(x, [1], kept=512, count=512)),
            (x.std(1), scfx_ops.std(x, [1], kept=512, count=512)),
            (x.mean(1), scfx_ops.mean(x, [1], kept=512, count=512)),
        ]
        y = x.view(3, 2, 256)
        plain = functional.batch_norm(y, None, None, weight[:2], bias[:2], True, 0.0, 1e-5)
        pairs.append((plain, scfx_ops.batch_norm(y, weight[:2], bias[:2], None, None, True, 0.0, 1e-5, False, 256)))
    for wanted, found in pairs:
        assert found.dtype == wanted.dtype == dtype
        torch.testing.assert_close(found, wanted, rtol=2 * torch.finfo(dtype).eps, atol=torch.finfo(dtype).eps)
