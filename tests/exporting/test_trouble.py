"""What can't be exported is an error that says where and why, and leaves no file behind."""

import importlib.util
from pathlib import Path
from typing import Any

import onnx_ir
import pytest
import torch
from torch import Tensor, fx, nn

import scfx
from scfx.errors import CheckpointError, ExportError, InputError
from scfx.exporting.dequantized import dequantize
from tests.exporting.networks import finalized

X = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def small() -> fx.GraphModule:
    torch.manual_seed(0)
    return finalized(nn.Linear(4, 3), X)


def test_a_missing_package_is_named_with_its_extra(
    small: fx.GraphModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.startswith("onnx") else find(name))
    with pytest.raises(ExportError, match=r"needs onnx and onnxscript and onnxruntime.*pip install 'scfx\[onnx\]'"):
        scfx.export_onnx(small, tmp_path / "net.onnx")
    with pytest.raises(ExportError, match=r"needs onnx and onnxscript, not"):
        scfx.export_onnx(small, tmp_path / "net.onnx", check=False)
    assert not list(tmp_path.iterdir())


def test_an_operator_that_onnx_has_not_is_named_with_its_place(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = torch.special.bessel_j0(x)
            return result

    net = scfx.compress(nn.Sequential(nn.Linear(4, 3), Odd()), X)
    with pytest.raises(ExportError, match=r"bessel_j0.* in 1 \(test_trouble.py:\d+: result: Tensor.*Nothing"):
        scfx.export_onnx(net, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_places_where_no_file_can_be(small: fx.GraphModule, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="there is no directory"):
        scfx.export_onnx(small, tmp_path / "nowhere" / "net.onnx")
    with pytest.raises(ExportError, match="it is a directory"):
        scfx.export_onnx(small, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_whole_or_not_at_all(
    small: fx.GraphModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="the disk is full"):
        scfx.export_onnx(small, path)
    assert path.read_bytes() == b"before"
    assert [*tmp_path.iterdir()] == [path]


def test_only_what_scfx_made_is_exported(small: fx.GraphModule, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected what scfx.compress or net.finalize\(\) returned, got .*Linear"):
        scfx.export_onnx(nn.Linear(2, 2), tmp_path / "net.onnx")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match="opset 18 is too old"):
        scfx.export_onnx(small, tmp_path / "net.onnx", opset=18)
    inputs: Any
    for inputs in ((X, X), {"y": X}, (3,), [X]):
        with pytest.raises(InputError):
            scfx.export_onnx(small, tmp_path / "net.onnx", inputs)
    assert not list(tmp_path.iterdir())


def test_a_network_that_does_not_say_what_it_is_fed(tmp_path: Path) -> None:
    own = fx.symbolic_trace(nn.Sequential(nn.ReLU()))
    own.meta.update({"bits": {}, "scales": {}})
    with pytest.raises(InputError, match="give example inputs"):
        scfx.export_onnx(own, tmp_path / "net.onnx")
    scfx.export_onnx(own, tmp_path / "net.onnx", X)


def test_weights_that_were_changed_are_not_rounded_in_silence(tmp_path: Path) -> None:
    plain = finalized(nn.Linear(4, 3), X)
    with torch.no_grad():
        plain.get_parameter("weight")[1, 2] += 1.001
    with pytest.raises(CheckpointError, match=r"weight is not what net.finalize\(\) left"):
        scfx.export_onnx(plain, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_computes_something_else_is_not_written(
    small: fx.GraphModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(graph: Any, name: str, *rest: Any) -> bool:
        done = dequantize(graph, name, *rest)
        scales = graph.initializers[f"{name}.scales"]
        scales.const_value = onnx_ir.tensor(scales.const_value.numpy() * 1.01, name=scales.name)
        return done

    monkeypatch.setattr("scfx.exporting.onnx.dequantize", wrong)
    with pytest.raises(ExportError, match=r"computes something else: for inputs of 2x4, its output is up to .* off"):
        scfx.export_onnx(small, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
    scfx.export_onnx(small, tmp_path / "net.onnx", check=False)
