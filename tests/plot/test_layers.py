"""`scfx.plot.widths`: bars as long as what the network has and had."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

import scfx
from scfx import CompressedModule
from tests.toys import pruned

AT_FIRST = {"0.weight": 8, "3.weight": 6, "6.weight": 10}


@pytest.fixture
def net() -> CompressedModule:
    return pruned()


def bars(figure: Figure) -> dict[str, list[float]]:
    """How long the bars of each kind are."""
    (axes,) = figure.axes
    return {str(group.get_label()): [bar.get_width() for bar in group.patches] for group in axes.containers}  # type: ignore[attr-defined]


def test_a_network_knows_what_it_was(net: CompressedModule) -> None:
    figure = scfx.plot.widths(net)
    assert bars(figure) == {"before": [8, 6, 10], "after": [4, 6, 10]}
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["0", "3", "6"]
    assert figure.axes[0].get_title(loc="left") == "20 of 24 output channels are left"
    assert bars(scfx.plot.widths(net.left())) == bars(figure)
    assert net.left().widths_at_first == AT_FIRST


def test_a_loaded_network_has_to_be_told(net: CompressedModule, tmp_path: Path) -> None:
    scfx.save(net, tmp_path / "net")
    small_net = scfx.load(tmp_path / "net")
    assert bars(scfx.plot.widths(small_net, before=AT_FIRST)) == {"before": [8, 6, 10], "after": [4, 6, 10]}
    assert bars(scfx.plot.widths(small_net, before=net))["before"] == [4, 6, 10], "the network as it is now"
    with pytest.raises(scfx.InputError, match="pass before="):
        scfx.plot.widths(small_net)


def test_layers_that_are_gone_have_no_bar_and_new_ones_are_refused() -> None:
    assert bars(scfx.plot.widths({"a": 2}, before={"a": 3, "b": 4})) == {"before": [3, 4], "after": [2, 0]}
    with pytest.raises(scfx.InputError, match="no weight 'c'; it has 'a'"):
        scfx.plot.widths({"c": 2}, before={"a": 3})
