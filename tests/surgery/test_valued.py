"""On the meta device a network can be looked at; what needs values says so."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import scfx


@pytest.fixture(scope="module")
def net() -> scfx.CompressedModule:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        return scfx.compress(model, torch.randn(2, 4))


def optimizer_of(net: scfx.CompressedModule) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.param_groups(lr=0.1))


@pytest.mark.parametrize(
    "call",
    [
        lambda net: net.left(),
        lambda net: net.quantization_error(torch.randn(2, 4, device="meta")),
        lambda net: net.update(optimizer_of(net)),
        lambda net: net.finalize(),
        lambda net: net.cost("macs"),
        lambda net: scfx.save(net, "net.scfx"),
        lambda net: scfx.save_checkpoint("run.safetensors", net, optimizer_of(net)),
    ],
)
def test_what_needs_values_says_so(
    net: scfx.CompressedModule,
    call: Callable[[scfx.CompressedModule], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(scfx.ModelError, match=r"0\.weight is on the meta device .* net\.to_empty"):
        call(net)
    assert not list(tmp_path.iterdir())


def test_the_rest_works_and_values_can_be_given(net: scfx.CompressedModule) -> None:
    assert net.start_error is None
    assert net.channels.axes
    assert net.size().is_meta
    own = copy.deepcopy(net).to_empty(device="cpu")
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    own.load_state_dict(scfx.compress(model, torch.randn(2, 4)).state_dict())
    own.update(optimizer_of(own))
    assert own.finalize()(torch.randn(3, 4)).shape == (3, 2)
