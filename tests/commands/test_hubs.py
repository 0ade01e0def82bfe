"""Models by name, from libraries that are told to stay off the network."""

import pytest
import torch
from torch import nn

from scfx.commands import models
from scfx.commands.hubs import HUBS, hugging_face_model
from scfx.commands.usage import UsageError
from tests.commands.calling import refused


@pytest.mark.parametrize(
    ("hub", "name", "shapes"),
    [
        ("torchvision", "resnet18", ["2x3x224x224"]),
        ("torchvision", "inception_v3", ["2x3x299x299"]),
        ("torchvision", "r3d_18", ["2x3x16x112x112"]),
        ("torchvision", "deeplabv3_mobilenet_v3_large", ["2x3x224x224"]),
        ("timm", "vit_tiny_patch16_224", ["2x3x224x224"]),
        ("timm", "mobilenetv3_small_050.lamb_in1k", ["2x3x224x224"]),
        ("hf", "bert", ["input_ids=2x16:int64"]),
        ("hf", "t5", ["input_ids=2x16:int64", "decoder_input_ids=2x16:int64"]),
        ("hf", "vit", ["pixel_values=2x3x224x224"]),
        ("hf", "wav2vec2", ["input_values=2x16000"]),
    ],
)
def test_models_come_with_what_they_are_fed(hub: str, name: str, shapes: list[str]) -> None:
    build, inputs = HUBS[hub](name)
    with torch.device("meta"):
        model = build()
    assert isinstance(model, nn.Module)
    assert [str(shape) for shape in inputs(model)] == shapes


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:resnet19", "torchvision has no model called 'resnet19'; the nearest: resnet18"),
        ("timm:vit_tiny_patch16_223", "timm has no model called 'vit_tiny_patch16_223'; the nearest: vit_tiny_patch16"),
        ("timm:hf-hub:someone/model", "timm has no model called 'hf-hub:someone/model'"),
        ("hf:bertt", "transformers has no model type called 'bertt'; the nearest: bert"),
        ("resnet18", "'resnet18' is no model: MODEL is torchvision:resnet50, timm:vit_tiny_patch16_224, hf:bert or"),
        ("keras:resnet", "'keras:resnet' is no model: MODEL is"),
        ("hf:", "'hf:' is no model"),
    ],
)
def test_unknown_names_are_wrong_usage(name: str, message: str) -> None:
    assert message in refused("inspect", name, status=2)


@pytest.mark.parametrize(
    ("name", "package"), [("torchvision", "torchvision"), ("timm", "timm"), ("hf", "transformers")]
)
def test_a_library_that_is_missing_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    def absent(wanted: str) -> None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr("importlib.import_module", absent)
    said = refused("inspect", f"{name}:any", status=2)
    assert f"needs {package}, which is not installed: pip install 'scfx[zoo]'" in said


def test_large_models_have_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not models._built(lambda: nn.Linear(4, 4)).get_parameter("weight").is_meta
    monkeypatch.setattr(models, "LARGE", 10)
    assert models._built(lambda: nn.Linear(4, 4)).get_parameter("weight").is_meta
    assert not models._built(lambda: nn.Linear(4, int(torch.ones(()).item()))).get_parameter("weight").is_meta


def test_the_name_of_what_a_model_is_fed_is_asked_for() -> None:
    build, inputs = hugging_face_model("whisper")
    with torch.device("meta"):
        model = build()
    with pytest.raises(UsageError, match="--input input_features="):
        inputs(model)
