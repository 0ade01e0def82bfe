"""ONNX Runtime computes what the network does, from a file that is small; its sizes, names and types are as said."""

from pathlib import Path
from typing import Any

import onnx_ir
import torch
from torch import nn

import scfx
from scfx.demo.measuring import size_of
from tests.exporting.networks import apart, bits_of, finalized, kinds, run
from tests.files.networks import Mixed


def test_names_and_sizes(tmp_path: Path) -> None:
    """Those of a network that was saved and loaded, too."""
    plain = finalized(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), torch.randn(2, 1, 8, 8))
    scfx.save(plain, tmp_path / "net.scfx")
    for net, name in ((plain, "a"), (scfx.load(tmp_path / "net.scfx"), "b")):
        path = tmp_path / name
        scfx.export_onnx(net, path)
        for shape in ((1, 1, 8, 8), (3, 1, 12, 10)):
            assert apart(path, plain, torch.randn(shape)) < 1e-4
        (sizes,) = (value.shape for value in onnx_ir.load(path).graph.inputs)
        assert list(map(str, sizes or ())) == ["batch", "1", "input_2", "input_3"]
        assert b".py" not in path.read_bytes(), "a path of this machine"
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len(list(tmp_path.iterdir())) == 3


def test_types_are_the_narrowest_that_hold_each_weight(tmp_path: Path) -> None:
    """Grouped, transposed and shared weights; depths of 2, 4, 8, 12, 20 bits."""
    net = scfx.compress(Mixed(), torch.randn(2, 4, 6, 6)).eval()
    depths = {"first.weight": 2.0, "up.weight": 4.0, "again.weight": 12.0, "last.weight": 8.0}
    for name, quantizer in net.quantizers():
        with torch.no_grad():
            quantizer.bits.fill_(depths[name.removesuffix("_quantizer")])
            quantizer.bits[0] = 0
    plain, x = net.finalize(), torch.randn(5, 4, 6, 6)
    path = tmp_path / "net.onnx"
    expected = {"first.weight": "INT4", "up.weight": "INT4", "again.weight": "INT16", "last.weight": "INT8"}
    scfx.export_onnx(plain, path)
    assert kinds(path) == expected
    assert apart(path, plain, x) < 1e-4
    scfx.export_onnx(net, path, opset=25)
    assert kinds(path) == expected | {"first.weight": "INT2"}
    assert apart(path, plain, x) < 1e-4


def test_a_weight_that_no_type_holds_stays(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    for model, x, bits in ((nn.Linear(4, 3), torch.randn(2, 4), 20.0), (nn.Linear(4, 3).double(), None, 4.0)):
        x = torch.randn(2, 4, dtype=torch.float64) if x is None else x
        plain = bits_of(model, x, bits)
        scfx.export_onnx(plain, path)
        assert not kinds(path)
        assert torch.allclose(run(path, x)[0], plain(x))


def test_norms_that_are_folded_and_not(tmp_path: Path) -> None:
    """Folding multiplies the scales of the weight that takes a norm over; its whole numbers stay."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    model(torch.randn(8, 1, 8, 8) * 3)
    net, x = scfx.compress(model, torch.randn(2, 1, 8, 8), dynamic=False).eval(), torch.randn(3, 1, 8, 8)
    held = []
    for fold in (False, True):
        plain, path = net.finalize(fold=fold), tmp_path / str(fold)
        scfx.export_onnx(plain, path)
        assert apart(path, plain, x) < 1e-4
        graph = onnx_ir.load(path).graph
        assert any(node.op_type == "BatchNormalization" for node in graph) != fold
        held.append(graph.initializers["0.weight.numbers"].const_value)
    assert held[0] is not None
    assert held[1] is not None
    assert (held[0].numpy() == held[1].numpy()).all()


def test_room(tmp_path: Path) -> None:
    """The file takes at most 1.05 times the bits that are counted, where all channels are as deep as their type."""
    model = nn.Sequential(nn.Embedding(500, 64), nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512))
    net = scfx.compress(model, torch.randint(0, 500, (2, 5))).eval()
    with torch.no_grad():
        for name, quantizer in net.quantizers():
            quantizer.bits.fill_(4.0 if name.startswith("3.") else 8.0)
    plain = net.finalize()
    path = tmp_path / "net.onnx"
    scfx.export_onnx(plain, path)
    assert kinds(path) == {"0.weight": "INT8", "1.weight": "INT8", "3.weight": "INT4"}
    assert path.stat().st_size * 8 <= 1.05 * size_of(plain).all_bits
    assert apart(path, plain, torch.randint(0, 500, (3, 4))) < 1e-4
    looked_up = next(node for node in onnx_ir.load(path).graph if node.op_type == "Gather")
    assert str(looked_up.inputs[0].name if looked_up.inputs[0] else "") == "0.weight.numbers", "not the whole table"


def test_nested_inputs_and_outputs_have_readable_names(tmp_path: Path) -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, batch: dict[str, Any], scale: float = 2.0) -> dict[str, Any]:
            hidden = self.layer(batch["x"] + batch["pair"][0])
            return {"batch_x": batch["x"], "relu": [hidden * scale, torch.relu(hidden)], "again": hidden * scale}

    def batch(count: int) -> dict[str, Any]:
        return {"x": torch.randn(count, 4), "pair": (torch.ones(count, 4), torch.zeros(count))}

    plain = finalized(Nested(), (batch(2),))
    path = tmp_path / "net.onnx"
    scfx.export_onnx(plain, path, (batch(3),))
    graph = onnx_ir.load(path).graph
    assert [value.name for value in graph.inputs] == ["batch_x", "batch_pair_0", "batch_pair_1"]
    assert [value.name for value in graph.outputs] == ["batch_x_out", "relu_0", "relu_1", "again"]
    given = batch(5)
    found, expected = run(path, given["x"], *given["pair"]), plain(given)
    for one, other in zip(found, (expected["batch_x"], *expected["relu"], expected["again"]), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
