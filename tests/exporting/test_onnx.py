"""ONNX Runtime computes what the network does, from a file that is small; its sizes, names and types are as said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx_ir
import pytest
import torch
from torch import Tensor, fx, nn

import scfx
from scfx.demo.measuring import size_of
from tests.exporting.networks import apart, bits_of, finalized, kinds, run
from tests.files.networks import Mixed
from tests.toys import Block

Made = tuple[nn.Module, Any]


def ids(count: int, length: int) -> Tensor:
    return torch.randint(1, 20, (count, length), generator=torch.Generator().manual_seed(count))


def vit() -> Made:
    from timm.models import VisionTransformer

    model = VisionTransformer(img_size=8, patch_size=4, embed_dim=8, depth=1, num_heads=2, num_classes=5)
    return model, torch.randn(2, 3, 8, 8)


def bert() -> Made:
    from transformers import BertConfig, BertForSequenceClassification

    sizes: dict[str, Any] = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "intermediate_size": 12,
    }
    config = BertConfig(vocab_size=20, num_attention_heads=2, max_position_embeddings=16, **sizes)
    return BertForSequenceClassification(config), {"input_ids": ids(2, 7), "attention_mask": torch.ones(2, 7).long()}


def gpt() -> Made:
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes: dict[str, Any] = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16}
    config = GPT2Config(vocab_size=20, use_cache=False, bos_token_id=0, eos_token_id=0, **sizes)
    return GPT2LMHeadModel(config), ids(2, 7)


def image(count: int, length: int) -> tuple[Tensor, ...]:
    return (torch.randn(count, 3, 8, 8),)


def text(count: int, length: int) -> tuple[Tensor, ...]:
    return (ids(count, length),)


def padded(count: int, length: int) -> tuple[Tensor, ...]:
    mask = torch.ones(count, length, dtype=torch.int64)
    mask[-1, length // 2 :] = 0
    return ids(count, length), mask


@pytest.mark.parametrize(
    ("make", "inputs", "output"), [(vit, image, "output"), (bert, padded, "logits"), (gpt, text, "logits")]
)
def test_transformers(
    make: Callable[[], Made], inputs: Callable[[int, int], tuple[Tensor, ...]], output: str, tmp_path: Path
) -> None:
    plain = finalized(*make())
    path = tmp_path / "net.onnx"
    scfx.export_onnx(plain, path)
    for count, length in ((1, 7), (2, 7), (5, 9)):
        assert apart(path, plain, *inputs(count, length)) < 1e-4
    assert set(kinds(path)) == set(plain.meta["scales"])
    assert [value.name for value in onnx_ir.load(path).graph.outputs] == [output]


@pytest.fixture(scope="module")
def residual() -> fx.GraphModule:
    torch.manual_seed(0)
    return finalized(Block(1, 6), torch.randn(2, 1, 8, 8))


def test_a_residual_network_with_batch_norm(residual: fx.GraphModule, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    scfx.export_onnx(residual, path)
    for shape in ((1, 1, 8, 8), (2, 1, 8, 8), (3, 1, 12, 10)):
        assert apart(path, residual, torch.randn(shape)) < 1e-4
    model = onnx_ir.load(path)
    assert list(map(str, model.graph.inputs[0].shape or ())) == ["batch", "1", "x_2", "x_3"]
    assert {node.op_type for node in model.graph} >= {"DequantizeLinear", "Conv"}
    assert b".py" not in path.read_bytes(), "a path of this machine"
    assert [*tmp_path.iterdir()] == [path]


def test_what_was_saved_and_loaded(residual: fx.GraphModule, tmp_path: Path) -> None:
    scfx.save(residual, tmp_path / "net.scfx")
    loaded = scfx.load(tmp_path / "net.scfx")
    for net, name in ((residual, "a"), (loaded, "b")):
        scfx.export_onnx(net, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


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


@pytest.mark.parametrize("bits", [4, 8])
def test_room(bits: int, tmp_path: Path) -> None:
    """The file takes at most 1.05 times the bits that are counted, where all channels are as deep as their type."""
    model = nn.Sequential(nn.Embedding(500, 64), nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512))
    plain = bits_of(model, torch.randint(0, 500, (2, 5)), float(bits))
    path = tmp_path / "net.onnx"
    scfx.export_onnx(plain, path)
    assert set(kinds(path).values()) == {f"INT{bits}"}
    assert path.stat().st_size * 8 <= 1.05 * size_of(plain).all_bits
    assert apart(path, plain, torch.randint(0, 500, (3, 4))) < 1e-4


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
