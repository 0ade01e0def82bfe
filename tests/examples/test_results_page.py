"""The page of results: written from the lines alone, and the committed one is up to date."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from examples.records import read
from examples.results import baseline, grouped, name
from examples.results_page import ROOT, all_groups, main, picture, text, write_page


def run(compressed: bool, score: float, bits: int, **recipe: Any) -> dict[str, Any]:
    epoch = {"number": 1, "loss": 1.0, "score": score, "weights": 90, "weight_bits": bits, "cpu_seconds": 12.0}
    return {
        "example": "toy",
        "model": "Toy",
        "compressed": compressed,
        "data": "toys",
        "recipe": {"epochs": 2, "lr": 0.1, "seed": 0, "gamma": 0.0, "until": None} | recipe | _QUANTIZERS,
        "measure": "accuracy, %",
        "start_score": 10.0,
        "score": score,
        "dense": {"weights": 100, "weight_bits": 3200, "all_bits": 4000},
        "final": {"weights": 90, "weight_bits": bits, "all_bits": bits + 400},
        "epochs": [epoch, epoch | {"number": 2, "cpu_seconds": 9.0}],
        "layers": [{"name": "a", "before": [4, 3], "after": [3, 3], "bits": 2.5}] if compressed else [],
        "setting": {
            "date": "2000-01-01 00:00",
            "processor": "P",
            "device": "cpu",
            "cores": 2,
            "threads": 1,
            "python": "3",
            "torch": "2",
            "scfx": "0",
            "batch_size": 8,
        },
    }


_QUANTIZERS = {"quantizer_lr": 0.5, "quantizer_eps": 1e-3, "start_bits": 8.0, "prune_every": 100}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    runs = [run(True, 88.25, 180, gamma=0.5), run(False, 90.0, 3200), run(True, 89.5, 320, gamma=0.2, until=3.0)]
    lines = [json.dumps(each) for each in [*runs, run(True, 70.0, 100) | {"model": "Toy, other"}]]
    (tmp_path / "results").mkdir()
    (tmp_path / "results/toy.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "results/notes.md").write_text("# Notes\n\nHonest words.\n")
    return tmp_path / "results"


def test_runs_of_a_network_stand_together(folder: Path) -> None:
    group, other = grouped(read(folder / "toy.jsonl"))
    assert [name(each, group) for each in group] == ["dense", "gamma 0.2, until 3 bits", "gamma 0.5"]
    assert [each["score"] for each in other] == [70.0]


def test_names_say_what_differs() -> None:
    taught = run(True, 84.0, 180, epochs=8, teacher_share=0.7)
    group = [run(False, 80.0, 3200), run(False, 85.0, 3200, epochs=8), taught]
    names = [name(each, group) for each in group]
    assert names == ["dense, 2 epochs", "dense, 8 epochs", "gamma 0, 8 epochs, 70% from a teacher"]


def test_a_run_is_compared_with_the_dense_one_that_was_trained_alike_or_else_with_the_best() -> None:
    dense = [run(False, 80.0, 3200), run(False, 85.0, 3200, epochs=8), run(False, 99.0, 3200, epochs=8, seed=1)]

    def score(**recipe: Any) -> float | None:
        other = baseline(run(True, 70.0, 180, **recipe), dense)
        return other["score"] if other else None

    assert [score(), score(epochs=8), score(epochs=5), score(epochs=8, lr=0.2)] == [80.0, 85.0, 85.0, 85.0]
    assert score(seed=2) is None


def test_the_page_says_it_all(folder: Path) -> None:
    page = folder.parent / "docs/page.md"
    page.parent.mkdir()
    main(["--results", str(folder), "--page", str(page)])
    written = page.read_text()
    assert written.startswith("# Notes\n\nHonest words.\n\n## Toy")
    assert "| dense | 90.00 | 90.0 % | 100.0 % | 35.56 | 90.0 % | 12, 9 |" in written
    assert "| gamma 0.5 | 88.25 (-1.75) | 90.0 % | 5.6 % | 2.00 | 14.5 % | 12, 9 |" in written
    assert "| gamma 0 | 70.00 | " in written, "no dense run to compare it with"
    assert "2000-01-01 00:00 UTC; 1 thread of P (2 cores), device cpu, Python 3, torch 2, scfx 0.\n" in written
    assert (
        "Recipe: epochs 2, lr 0.1, seed 0, quantizer lr 0.5, quantizer eps 0.001, start bits 8, prune every 100."
        in written
    )
    pictures = sorted(page.parent.glob("results/*.svg"))
    assert [f"results/{path.name}" in written for path in pictures] == [True, True]
    assert all(ElementTree.parse(path).getroot().tag.endswith("svg") for path in pictures)
    before = {path: path.read_bytes() for path in (page, *pictures)}
    write_page(folder, page)
    assert before == {path: path.read_bytes() for path in before}, "the same runs, the same files"


def test_the_committed_page_is_up_to_date() -> None:
    assert text(ROOT / "results") == (ROOT / "docs/results.md").read_text()
    assert {path.name for path in (ROOT / "docs/results").iterdir()} == {
        Path(picture(group)).name for group in all_groups(ROOT / "results")
    }
