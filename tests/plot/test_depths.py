"""`scfx.plot.bits`: shares of channels by their bits."""

import pytest
from matplotlib.figure import Figure

import scfx
from tests.toys import images, pruned, small


def shares(figure: Figure) -> list[list[float]]:
    """How long the bars of each row are, in percent."""
    (axes,) = figure.axes
    found: dict[float, list[float]] = {}
    for bar in axes.patches:
        found.setdefault(bar.get_y() + bar.get_height() / 2, []).append(bar.get_width())  # type: ignore[attr-defined]
    return [found[place] for place in sorted(found)]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_rows_are_shares_of_channels_the_deepest_first() -> None:
    figure = scfx.plot.bits({"a.weight": [2, 8, 2, 0], "b": [8, 8]})
    assert shares(figure) == [[25, 50, 25, 0], [100, 0]]
    assert legend(figure) == ["8", "2", "0"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]
    assert [text.get_text().strip() for text in figure.axes[0].texts] == ["3.0", "8.0"]


def test_channels_that_are_gone_are_shown_where_they_are_known() -> None:
    net = pruned()
    figure = scfx.plot.bits(net)
    assert shares(figure)[0][-1] == 50
    assert legend(figure)[-1] == "gone"
    figure = scfx.plot.bits(net.finalize())
    assert shares(figure)[0][-1] == 0
    assert "gone" not in legend(figure)


def test_without_quantizers_there_is_nothing_to_draw() -> None:
    net = scfx.compress(small(), images(2), quantize=False, dynamic=False)
    with pytest.raises(scfx.InputError, match="no quantized weights"):
        scfx.plot.bits(net)
