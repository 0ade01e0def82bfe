"""Transformers and a residual network compute the same as ONNX files and as torch's own exported programs."""

import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import onnx_ir
import pytest
import torch
from torch import Tensor, fx, nn
from torch.export import Dim
from torch.utils import _pytree as pytree

import scfx
from tests.exporting.networks import apart, bits_of, finalized, kinds
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


def pixels(count: int, length: int) -> tuple[Tensor, ...]:
    return (torch.randn(count, 1, 8, 8),)


Inputs = Callable[[int, int], tuple[Tensor, ...]]

#: The network, calls of it, and its outputs' names.
KINDS: dict[str, tuple[Callable[[], Made], Inputs, str]] = {
    "residual": (lambda: (Block(1, 6), torch.randn(2, 1, 8, 8)), pixels, "output"),
    "vit": (vit, image, "output"),
    "bert": (bert, padded, "logits"),
    "gpt": (gpt, text, "logits"),
}


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest) -> tuple[fx.GraphModule, Inputs, str]:
    torch.manual_seed(0)
    make, inputs, output = KINDS[request.param]
    return finalized(*make()), inputs, output


def test_as_onnx(made: tuple[fx.GraphModule, Inputs, str], tmp_path: Path) -> None:
    plain, inputs, output = made
    path = tmp_path / "net.onnx"
    scfx.export_onnx(plain, path)
    for count, length in ((1, 7), (2, 7), (5, 9)):
        assert apart(path, plain, *inputs(count, length)) < 1e-4
    assert set(kinds(path)) == set(plain.meta["scales"])
    assert [value.name for value in onnx_ir.load(path).graph.outputs] == [output]


@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.* is deprecated:FutureWarning")  # torch's own use
def test_as_a_program_of_torch(made: tuple[fx.GraphModule, Inputs, str]) -> None:
    """Exported with all sizes free that are, saved, loaded: nothing has to be repeated by scfx for that."""
    plain, inputs, _ = made
    holders = [node for node in plain.graph.nodes if node.op == "placeholder" and not node.args]
    free = {node.name: dict.fromkeys(node.meta["free"], Dim.DYNAMIC) for node in holders}
    program = torch.export.export(plain, inputs(2, 7), dynamic_shapes=free)
    file = BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for count, length in ((2, 7), (5, 9)):
        call = inputs(count, length)
        for one, other in zip(pytree.tree_leaves(plain(*call)), pytree.tree_leaves(loaded(*call)), strict=True):
            assert torch.equal(one, other)


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="no C++ compiler here")
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # inductor's
def test_compiled_ahead_of_time(tmp_path: Path) -> None:
    plain = bits_of(nn.Linear(4, 3), torch.randn(2, 4), 4.0)
    program = torch.export.export(plain, (torch.randn(2, 4),), dynamic_shapes=({0: Dim.DYNAMIC},))
    quick = {"aot_inductor.compile_wrapper_opt_level": "O0"}
    inductor = torch._inductor
    path = inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "net.pt2"), inductor_configs=quick)
    x = torch.randn(7, 4)
    assert torch.allclose(inductor.aoti_load_package(path)(x), plain(x), atol=1e-6)
