"""`scfx export`."""

from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import nn

import scfx
from tests.commands.calling import call, refused


def test_a_saved_network_becomes_an_onnx_file(tmp_path: Path) -> None:
    net = scfx.compress(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.randn(2, 4))
    saved, path = tmp_path / "small.scfx", tmp_path / "small.onnx"
    scfx.save(net, saved)
    assert call("export", str(saved), "-o", str(path)).out == f"Written to {path}: {path.stat().st_size:,} bytes\n"
    session, x = onnxruntime.InferenceSession(path), torch.randn(5, 4)
    (found,) = session.run(None, {"input": x.numpy()})
    assert torch.allclose(torch.from_numpy(found), scfx.load(saved)(x), atol=1e-5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)
        assert "scfx[onnx]" in refused("export", str(saved), "-o", str(path), status=2)
    before = path.read_bytes()
    assert "inputs" in refused("export", str(saved), "-o", str(path), "--input", "y=2x4", status=2)
    assert "too old" in refused("export", str(saved), "-o", str(path), "--opset", "17", status=1)
    assert "no directory" in refused("export", str(saved), "-o", str(tmp_path / "a" / "b"), status=1)
    assert "nowhere" in refused("export", str(tmp_path / "nowhere"), "-o", str(path), status=1)
    assert path.read_bytes() == before
