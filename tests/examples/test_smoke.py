"""Every example with --smoke, dense and compressing itself: a few seconds, made-up data, no files but the results."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import scfx
from examples import cifar10, resnet50v2, wikitext_bert
from examples.records import read

SMOKE = ["--smoke", "--threads", "1", "--epochs", "2"]

#: Larger than anyone would want: in two short epochs something is to be seen of it.
FAST = ["--gamma", "30", "--start-bits", "3", "--prune-every", "2", "--quantizer-lr", "0.5"]


def results(folder: Path, name: str) -> list[dict[str, Any]]:
    (path,) = folder.iterdir()
    assert path.name == f"{name}.jsonl"
    return read(path)


@pytest.mark.parametrize("network", ["resnet9", "resnet20"])
def test_cifar10(network: str, tmp_path: Path) -> None:
    cifar10.main([network, "--dense", *SMOKE, "--out", str(tmp_path)])
    cifar10.main([network, *SMOKE, *FAST, "--out", str(tmp_path)])
    dense, compressed = results(tmp_path, "cifar10")
    check(dense, compressed)


def test_wikitext_bert(tmp_path: Path) -> None:
    wikitext_bert.main(["--dense", *SMOKE, "--out", str(tmp_path)])
    wikitext_bert.main([*SMOKE, *FAST, "--out", str(tmp_path)])
    dense, compressed = results(tmp_path, "wikitext_bert")
    check(dense, compressed)
    assert dense["score"] < dense["start_score"], "the loss falls"


def test_resnet50v2(tmp_path: Path) -> None:
    resnet50v2.main([*SMOKE, *FAST, "--out", str(tmp_path)])
    (compressed,) = results(tmp_path, "resnet50v2")
    assert compressed["final"]["weight_bits"] < 0.1 * compressed["dense"]["weight_bits"]


def check(dense: dict[str, Any], compressed: dict[str, Any]) -> None:
    """Two runs of one network: sizes are whole and consistent, and recipes the same but for the compression."""
    assert dense["dense"] == dense["final"] == compressed["dense"]
    assert dense["data"] == compressed["data"]
    assert dense["start_score"] == compressed["start_score"], "the same first weights, asked the same"
    for run in (dense, compressed):
        assert [epoch["number"] for epoch in run["epochs"]] == [1, 2]
        assert all(epoch["cpu_seconds"] > 0 and epoch["step_ms"] > 0 for epoch in run["epochs"])
    same = ("epochs", "lr", "weight_decay", "seed")
    assert [dense["recipe"][name] for name in same] == [compressed["recipe"][name] for name in same]
    assert dense["recipe"]["gamma"] == 0
    assert all(epoch["weight_bits"] == dense["dense"]["weight_bits"] for epoch in dense["epochs"])
    final = compressed["final"]
    assert final["weight_bits"] < 0.1 * dense["final"]["weight_bits"]
    assert final["weight_bits"] <= compressed["epochs"][-1]["weight_bits"]
    layers = compressed["layers"]
    assert layers
    assert all(
        after <= before for layer in layers for after, before in zip(layer["after"], layer["before"], strict=True)
    )
    assert any(layer["after"] != layer["before"] for layer in layers)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resnet9", "--data", "nowhere"], "holds neither cifar10-jpeg-train.npz nor cifar-10-batches-py"),
        (["resnet20", "--data", "nowhere"], "starts from trained weights"),
    ],
)
def test_missing_data_is_named(arguments: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=words):
        cifar10.main([*arguments, "--width", "2", "--out", str(tmp_path / "results")])
    assert not (tmp_path / "results").exists()


def test_missing_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"there is no .*valid\.txt"):
        wikitext_bert.main(["--data", str(tmp_path)])


def test_lines_are_added(tmp_path: Path) -> None:
    for _ in range(2):
        cifar10.main(["resnet9", "--dense", *SMOKE, "--epochs", "1", "--width", "2", "--out", str(tmp_path)])
    first, second = results(tmp_path, "cifar10")
    for run in (first, second):
        del run["setting"]["date"]
        for name in ("seconds", "cpu_seconds", "step_ms"):
            del run["epochs"][0][name]
    assert first == second, "the same seed gives the same run"
    assert json.dumps(first["setting"]).count("threads") == 1
    assert first["setting"]["threads"] == 1 or torch.get_num_threads() != 1


def test_a_run_starts_from_another_and_learns_from_it(tmp_path: Path) -> None:
    saved, small = tmp_path / "dense.safetensors", tmp_path / "small.scfx"
    out = ["--out", str(tmp_path / "results")]
    cifar10.main(["resnet20", "--dense", *SMOKE, "--save", str(saved), *out])
    cifar10.main(["resnet20", *SMOKE, "--epochs", "1", "--teacher", str(saved), "--save", str(small), *out])
    dense, taught = results(tmp_path / "results", "cifar10")
    assert (dense["recipe"]["teacher_share"], taught["recipe"]["teacher_share"]) == (0.0, 0.7)
    assert dense["epochs"][0]["loss"] != taught["epochs"][0]["loss"]
    parameters = sum(parameter.numel() for parameter in scfx.load(small).parameters())
    assert parameters <= dense["dense"]["all_bits"] / 32
    with pytest.raises(SystemExit, match="--teacher: only for resnet20"):
        cifar10.main(["resnet9", *SMOKE, "--teacher", str(saved), *out])
