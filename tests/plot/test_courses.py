"""`scfx.plot.history`: what stands in which panel, and lines through what was noted."""

from typing import Any

import pytest
from matplotlib.figure import Figure

import scfx

NOTES = [
    {"step": 0, "accuracy": 10.0, "bits_per_weight": 8.0, "weights_left": 1.0, "channels_left": 1.0},
    {"step": 10, "bits_per_weight": 4.0, "weights_left": 0.5, "channels_left": 0.75},
    {"step": 20, "accuracy": 90.0, "bits_per_weight": 2.0, "weights_left": 0.25, "channels_left": 0.5},
]


def lines(figure: Figure) -> dict[str, dict[str, list[list[Any]]]]:
    """The points of the lines of each panel, by what is written beside it and by their labels."""
    return {
        axes.get_ylabel(): {
            str(line.get_label()): [[*map(float, point)] for point in zip(*line.get_data(), strict=True)]  # type: ignore[arg-type]
            for line in axes.lines
        }
        for axes in figure.axes
    }


def test_each_number_is_alone_but_for_the_shares() -> None:
    figure = scfx.plot.history(NOTES)
    assert lines(figure) == {
        "accuracy": {"accuracy": [[0, 10], [20, 90]]},
        "bits per weight": {"bits_per_weight": [[0, 8], [10, 4], [20, 2]]},
        "left of what there was, %": {
            "weights_left": [[0, 100], [10, 50], [20, 25]],
            "channels_left": [[0, 100], [10, 75], [20, 50]],
        },
    }
    assert figure.axes[-1].get_xlabel() == "step"
    assert [axes.get_legend() is None for axes in figure.axes] == [True, True, False]


def test_runs_have_colours_and_are_named() -> None:
    dense = [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 1.0}]
    other = [{"epoch": 1, "loss": 4.0, "bits": 8.0, "left": 1.0}]
    figure = scfx.plot.history(
        {"dense": dense, "mine": other}, over="epoch", panels={"loss": ["loss"], "size": ["bits", "left"]}
    )
    assert lines(figure) == {
        "loss": {"dense": [[1, 3], [2, 1]], "mine": [[1, 4]]},
        "size": {"bits": [[1, 8]], "left": [[1, 1]]},
    }
    for axes in figure.axes:
        assert len({line.get_color() for line in axes.lines}) == 2
    both = scfx.plot.history({"a": dense, "b": dense}, over="epoch", panels={"both": ["loss", "epoch"][:1]})
    assert [*lines(both)["both"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("notes", "options", "message"),
    [
        ([], {}, "there is nothing to draw over 'step'"),
        ([{"step": 1.0}], {}, "there is nothing to draw over 'step'"),
        ([{"step": 1.0, "a": 2.0}, {"a": 3.0}], {}, "note 1 has no 'step'"),
        ({"run": [{"a": 3.0}]}, {"over": "epoch"}, "note 0 of 'run' has no 'epoch'"),
        ([{"step": 1.0, "a": 2.0}], {"panels": {"x": ["b"]}}, "'b', which no note has; there are 'a'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(notes: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(scfx.InputError, match=message):
        scfx.plot.history(notes, **options)
