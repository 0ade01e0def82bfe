"""Models from the user's own files, and what is said when that goes wrong."""

import sys
from pathlib import Path

import pytest
from torch import nn

from scfx.commands.user_file import made_by
from tests.commands.calling import call, refused


def test_a_function_a_class_and_a_module_make_a_model(models: str) -> None:
    for name, given in (("blocks", True), ("bare", False), ("Odd", False), ("ready", False)):
        model, inputs = made_by(Path(models), name)
        assert isinstance(model, nn.Module)
        assert (inputs is not None) == given


def test_neighbours_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "neighbour_of_models.py").write_text("WIDTH = 7")
    path = tmp_path / "other.py"
    path.write_text("import torch\nfrom neighbour_of_models import WIDTH\nnet = torch.nn.Linear(WIDTH, 1)\n")
    model, _ = made_by(path, "net")
    assert model.get_parameter("weight").shape == (1, 7)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("block", "models.py has no function called 'block'; the nearest: blocks"),
        ("zzz", "no function called 'zzz'; it has Blocks, Odd, Restless, bare, blocks, broken, number, odd, ready"),
        ("OrderedDict", "OrderedDict() returns a OrderedDict"),
        ("number", "number() returns a int, but should return a model or (model, example_inputs)"),
        ("wide", "wide() needs the argument width"),
        ("bare", "give the shape, as in --input 1x3x224x224, or return (model, example_inputs)"),
    ],
)
def test_what_makes_no_model_is_wrong_usage(models: str, name: str, message: str) -> None:
    assert message in refused("inspect", f"{models}:{name}", status=2)


def test_no_file_and_no_function(models: str) -> None:
    assert "there is no file nowhere.py" in refused("inspect", "nowhere.py:net", status=2)
    assert f"write {models}:FUNCTION" in refused("inspect", models, status=2)
    Path(models).write_text("")
    assert "has no function 'net', and no other one" in refused("inspect", f"{models}:net", status=2)


def test_a_function_that_raises_is_quoted_with_its_line(models: str) -> None:
    line = Path(models).read_text().splitlines().index("    return nn.Linear(4, 4 // width)") + 1
    said = refused("inspect", f"{models}:broken", status=1)
    assert said.splitlines() == [
        "scfx: broken() raised ZeroDivisionError: integer division or modulo by zero",
        f"  {models}:{line} in broken: return nn.Linear(4, 4 // width)",
    ]


@pytest.mark.parametrize(
    ("source", "first", "second"),
    [
        ("x = 1\ny = = 2\n", "bad.py raised SyntaxError: invalid syntax", ":2: y = = 2"),
        ("import no_such_thing\n", "raised ModuleNotFoundError: No module named 'no_such_thing'", ":1 in <module>"),
        ("import sys\nsys.exit(7)\n", "bad.py raised SystemExit: 7", ":2 in <module>: sys.exit(7)"),
        ("import json\njson.loads('')\n", "raised JSONDecodeError", ":2 in <module>: json.loads('')"),
    ],
)
def test_a_file_that_raises_is_quoted_with_its_line(tmp_path: Path, source: str, first: str, second: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(source)
    lines = refused("inspect", f"{path}:net", status=1).splitlines()
    assert first in lines[0]
    assert f"{path}{second}" in lines[1]


def test_a_shape_stands_in_for_an_example(models: str) -> None:
    assert "fed 2x4\n" in call("inspect", f"{models}:bare", "--input", "2x4").out
    assert "fed 2x6:int64\n" in call("inspect", f"{models}:tokens", "--input", "2x6:int64").out
    said = refused("inspect", f"{models}:bare", "--input", "2x9", status=2)
    assert "the model itself fails on the example inputs" in said
