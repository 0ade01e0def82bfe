"""`scfx size`."""

import json
from pathlib import Path

import torch
from torch import nn

import scfx
from tests.commands.calling import call, refused


def test_what_each_tensor_takes_is_shown(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = scfx.compress(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.randn(2, 4))
    with torch.no_grad():
        next(quantizer for _, quantizer in net.quantizers()).bits.copy_(torch.tensor([2.0, 5.0, 8.0]))
    path = tmp_path / "small.scfx"
    scfx.save(net, path)
    data = json.loads(call("size", str(path), "--json").out)
    assert data["bytes"] == path.stat().st_size
    tensors = {tensor["name"]: tensor for tensor in data["tensors"]}
    weight, bias = tensors["0.weight"], tensors["0.bias"]
    assert (weight["shape"], weight["entries"]) == ([3, 4], 12)
    assert weight["depths"] == net.finalize().meta["bits"]["0.weight"]
    assert len(set(weight["depths"])) == 3
    assert weight["bits"] == 4 * sum(weight["depths"])
    assert (bias["bits"], bias["depths"]) == (96, [32])
    out = call("size", str(path)).out
    assert f"{path.stat().st_size:,} bytes" in out
    low, high = min(weight["depths"]), max(weight["depths"])
    assert [str(-(-weight["bits"] // 8)), str(low), "to", str(high), "3", "x", "4", "0.weight"] in [
        line.split() for line in out.splitlines()
    ]


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    assert "nowhere" in refused("size", str(tmp_path / "nowhere"), status=1)
    (tmp_path / "damaged").write_bytes(b"no network")
    assert "damaged" in refused("size", str(tmp_path / "damaged"), status=1)
