"""The coverage page and the choice of models."""

import pytest
from torch import nn

from tests.zoo import own_models, torchvision_models
from tests.zoo.coverage import page
from tests.zoo.inputs import floats
from tests.zoo.model import ZooModel
from tests.zoo.registry import LISTS, select
from tests.zoo.result import Loss, Result, Trouble
from tests.zoo.verdict import cause, summary

MODELS = [ZooModel(f"own/{name}", nn.Identity, floats((1,))) for name in ("good", "low", "noted", "bad", "new")]
MODELS[2] = ZooModel("own/noted", nn.Identity, floats((1,)), note="All of it is vocabulary.")

ERRORS = {"eval": 1e-16, "train": 2e-16, "gradients": 3e-14, "second": 4e-15}
LOSSES = [Loss("a | reason", 3, 12, 0.4), Loss("model output", 1, 2, 0.1), Loss("little", 1, 2, 0.001)]

RESULTS = {
    "own/good": Result("own/good", "2026-11-01", "done", "", 10, 1.25, 9.6, 31.0, 0.96, [], [], ERRORS, 0.5),
    "own/low": Result("own/low", "2026-11-02", "done", "", 10, 2.0, 30.0, 4.0, 0.499, LOSSES, [], ERRORS, 0.5),
    "own/noted": Result("own/noted", "2026-11-02", "done", "", 10, 2.0, 20.0, 4.0, 0.2, LOSSES, [], ERRORS, 0.5),
    "own/bad": Result(
        "own/bad", "2026-11-03", "exactness", "wrong\n  result", 10, 3.0, 5.0, None, 0.9, [], [Trouble("op", "no", 2)]
    ),
}


def test_page() -> None:
    text = page({"own": MODELS}, RESULTS)
    assert "| good | yes | 96.0 % |  |  | 1e-16 | 2e-16 | 3e-14 | 4e-15 | 1.2 | 10 | 31 |" in text
    assert "| bad | yes | 90.0 % | `op` |  |  |  |  |  | 3.0 | 5 |  |" in text
    assert "a \\| reason 40.0 %; model output 10.0 % |" in text
    assert "- own/bad: exactness: wrong result" in text
    assert "- own/low 49.9 %: 40.0 % a \\| reason; 10.0 % model output" in text
    assert "- own/noted 20.0 %: All of it is vocabulary." in text
    assert "Not run: own/new." in text
    assert "Run 2026-11-01 to 2026-11-03 with Python" in text


def test_summary() -> None:
    assert summary(list(RESULTS.values())) == [
        "4 of 4 captured in both modes",
        "3 of 4 captured are exact",
        "median prunable share of dims 70.0 %, 2 models under 75 %",
        "operators without a rule that fits: op",
        "analysis: median 15 ms, slowest 30 ms",
    ]
    assert summary([])[0] == "0 of 0 captured in both modes"


def test_a_long_cause_is_shortened() -> None:
    result = Result("own/bad", stage="capture", failure="x" * 500)
    assert len(cause(result)) < 220
    assert cause(result).endswith(" ...")


def test_select() -> None:
    def names(*words: str) -> list[str]:
        found = [*torchvision_models.MODELS, *own_models.MODELS]
        return [model.name for model in select(words, found)]

    assert names("resnet18") == ["torchvision/resnet18"]
    assert names("torchvision/resnet1") == ["torchvision/resnet18", "torchvision/resnet101", "torchvision/resnet152"]
    assert names("own", "resnet18") == [*(model.name for model in own_models.MODELS), "torchvision/resnet18"]
    assert len(names()) == len(torchvision_models.MODELS) + len(own_models.MODELS)
    with pytest.raises(ValueError, match="begins with 'resnot'"):
        names("resnet18", "resnot")


@pytest.mark.parametrize("source", LISTS)
def test_names(source: str) -> None:
    """Names are unique, and tell where a model comes from."""
    models = pytest.importorskip(LISTS[source]).MODELS
    found = [model.name for model in models]
    assert len(set(found)) == len(found)
    assert {model.source for model in models} == {source}


def test_causes_name_no_folders_of_this_machine() -> None:
    failure = "at /a/b/tests/double.py:20 in f, /c/lib/site-packages/timm/x.py:3 in g"
    assert cause(Result("own/bad", failure=failure)) == "build: at tests/double.py:20 in f, timm/x.py:3 in g"
