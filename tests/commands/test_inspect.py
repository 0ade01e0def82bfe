"""`scfx inspect`: what people and programs are shown."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from scfx.commands import inspect as command
from scfx.commands.models import Analysed, analysed
from scfx.reporting.report import GraphReport
from tests.commands.calling import call, refused
from tests.commands.files import SOURCE


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    """The model of that name, analysed once."""
    path: Path = tmp_path_factory.mktemp("inspect") / "models.py"
    path.write_text(SOURCE)
    return analysed(f"{path}:blocks", ())


def test_people_are_shown_what_can_be_pruned_and_why_not(
    models: str, monkeypatch: pytest.MonkeyPatch, blocks: Analysed
) -> None:
    monkeypatch.setattr(command, "analysed", lambda *_: blocks)
    ended = call("inspect", f"{models}:blocks")
    assert (ended.status, ended.err) == (0, "")
    lines = [line.strip() for line in ended.out.splitlines()]
    words = [line.split() for line in lines]
    assert lines[0].startswith(models)
    assert "137 parameters, fed 2x4" in ended.out
    assert "prunable: 6 of 18 channels, on 2 of 5 axes" in ended.out
    assert ["6", "92.0", "%", "9", "no", "first.weight[0]"] in words
    assert ["2", "x", "3", "56.9", "%", "3", "yes", "blocks.*.0.weight[0]"] in words
    assert ["2", "x", "blocks.*.0.weight", "3", "x", "6", "100", "%,", "0", "%"] in words
    assert "2 other parameters: all of every dim" in lines
    assert ["6", "1", "model", "output", "['hidden']", "first.weight[0]"] in words
    assert "--outputs logits frees 6 more channels" in ended.out
    assert ["-", "idle"] in words
    assert max(map(len, ended.out.splitlines())) <= 80 + len(models)


def test_outputs_that_matter_are_chosen(models: str) -> None:
    assert "prunable: 12 of 18 channels" in call("inspect", f"{models}:blocks", "--outputs", "logits").out
    said = refused("inspect", f"{models}:blocks", "--outputs", "logit", status=2)
    assert "no output named 'logit'" in said


def test_all_shows_parameters_that_are_prunable_throughout(monkeypatch: pytest.MonkeyPatch, blocks: Analysed) -> None:
    monkeypatch.setattr(command, "analysed", lambda *_: blocks)
    out = call("inspect", "any", "--all").out
    assert "blocks.*.0.bias" in out
    assert "other parameters" not in out


def test_operators_without_a_rule_are_named(models: str) -> None:
    out = call("inspect", f"{models}:odd").out
    assert "Operators without a rule that fits" in out
    assert "aten.renorm.default in the model itself: no rule" in out


def test_programs_are_given_everything(monkeypatch: pytest.MonkeyPatch, blocks: Analysed) -> None:
    monkeypatch.setattr(command, "analysed", lambda *_: blocks)
    ended = call("inspect", "any", "--json")
    assert (ended.status, ended.err) == (0, "")
    data = json.loads(ended.out)
    assert set(data) == {field.name for field in fields(GraphReport)} | {"model", "inputs", "parameters", "share"}
    assert (data["inputs"], data["parameters"], data["prunable_channels"]) == (["2x4"], 137, 6)
    (dim,) = [dim for dim in data["dims"] if (dim["name"], dim["dim"]) == ("head.weight", 1)]
    assert dim == {
        "name": "head.weight", "dim": 1, "size": 6, "prunable": 0, "kernel": False, "numel": 12, "share": 0.0
    }  # fmt: skip


def test_a_model_that_cannot_be_captured_ends_with_status_1(models: str) -> None:
    said = refused("inspect", f"{models}:restless", status=1)
    assert "models.py" in said
    assert "x.sum() > 0" in said
