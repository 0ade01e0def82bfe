"""Pictures and networkx graphs of channel graphs."""

import xml.etree.ElementTree as ET
from pathlib import Path

import networkx as nx
import pytest
import torch

import scfx
from scfx.capture.program import Mode
from scfx.errors import InputError, ScfxError, UnknownNameError
from scfx.graph.channels import ChannelGraph
from scfx.reporting import drawing_layout
from scfx.reporting.drawing import render
from scfx.reporting.drawing_style import palette
from scfx.reporting.pictures import Pictures
from tests.graphs import graph_of
from tests.toys import Residual


def dot_source(graph: ChannelGraph, mode: Mode, of: str | None = "") -> str:
    return Pictures(graph, None, mode).of(of).source


# ---------------------------------------------------------------------- networkx


def test_networkx_nodes_carry_what_is_documented() -> None:
    graph = graph_of("residual")
    net = graph.to_networkx()
    assert isinstance(net, nx.MultiDiGraph)
    assert nx.is_directed_acyclic_graph(net)
    names = {"kind", "label", "op", "module", "module_type", "modes", "shape", "axes", "prunable", "pins"}
    assert all(set(data) == names for _, data in net.nodes(data=True))
    head = net.nodes["head.weight"]
    assert (head["kind"], head["shape"], head["prunable"], head["pins"]) == (
        "parameter",
        (10, 24),
        (0.0, 1.0),
        ("model output",),
    )
    (add,) = [node for node, data in net.nodes(data=True) if (data["label"], data["module"]) == ("add", "block1")]
    assert net.nodes[add]["module_type"] == "Block"
    assert net.nodes[add]["shape"] == (None, 8, 8, 8)
    assert net.in_degree(add) == 2


def test_networkx_edges_carry_shapes_and_axes() -> None:
    graph = graph_of("residual")
    net = graph.to_networkx()
    (edge,) = net.in_edges("output", data=True)
    assert edge[2] == {
        "operand": "value",
        "modes": ("train", "eval"),
        "shape": (None, 10),
        "axes": edge[2]["axes"],
        "dims": ("any", "10"),
    }
    number = edge[2]["axes"][1][0]
    assert graph.axes[number].pinned is not None
    assert net.graph["axes"][number]["size"] == 10
    assert ("head.bias", 0) in net.graph["axes"][number]["members"]
    operands = {data["operand"] for _, _, data in net.out_edges("block1.conv1.weight", data=True)}
    assert operands == {"weight"}


def test_networkx_merges_both_graphs() -> None:
    net = graph_of("grouped").to_networkx()
    modes = {data["label"]: data["modes"] for _, data in net.nodes(data=True)}
    assert modes["dropout"] == ("train",)
    assert modes["conv2d"] == ("train", "eval")
    outputs = {
        node: data["modes"] for node, data in graph_of("twice").to_networkx().nodes(data=True) if "output" in node
    }
    assert outputs == {"output ['logits']": ("train", "eval"), "output ['hidden']": ("eval",)}


def test_networkx_leaves_bookkeeping_out_and_shows_quantizers() -> None:
    net = scfx.compress(Residual(), torch.randn(2, 1, 8, 8)).channels.to_networkx()
    assert "stem.1.num_batches_tracked" not in net
    assert net.nodes["stem.0.weight_quantizer"]["kind"] == "quantizer"
    assert list(net.predecessors("stem.0.weight_quantizer")) == ["stem.0.weight"]


# ----------------------------------------------------------------------- pictures


def test_svg_is_clustered_and_shows_merges_sizes_and_reasons(tmp_path: Path) -> None:
    graph_of("residual").render(tmp_path / "graph.svg")
    root = ET.parse(tmp_path / "graph.svg").getroot()
    classes = [element.get("class") for element in root.iter()]
    titles = [element.text for element in root.iter() if element.tag.endswith("title")]
    words = [(element.text or "").strip() for element in root.iter() if element.tag.endswith("text")]
    assert classes.count("cluster") == 4  # stem, block1, block2 and its shortcut
    assert "cluster block2 block2.shortcut" in titles
    assert words.count("+") >= 2
    assert "cat" in words
    assert any("pinned: model output" in word for word in words)


@pytest.mark.parametrize(
    ("ending", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml"), (".dot", b"digraph")]
)
def test_the_ending_chooses_the_format(tmp_path: Path, ending: str, magic: bytes) -> None:
    path = tmp_path / f"graph{ending}"
    graph_of("grouped").render(str(path))
    assert path.read_bytes().startswith(magic)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_nothing_of_graphviz_reaches_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    graph_of("grouped").render(tmp_path / "graph.png")
    assert capfd.readouterr() == ("", "")


def test_parameters_are_lines_of_their_operator() -> None:
    source = dot_source(graph_of("residual"), "eval")
    assert "stem.0.weight" not in [line.split('"')[1] for line in source.splitlines() if line.startswith('"')]
    assert "weight, bias</td>" in source


def test_both_modes_can_be_drawn(tmp_path: Path) -> None:
    render(graph_of("grouped"), tmp_path / "train.dot", mode="train")
    graph_of("grouped").render(tmp_path / "eval.dot")
    assert "dropout" in (tmp_path / "train.dot").read_text()
    assert "dropout" not in (tmp_path / "eval.dot").read_text()


def test_each_call_of_a_module_is_drawn() -> None:
    source = dot_source(graph_of("twice"), "eval")
    assert source.count("call 2</font>") == 1
    assert "used 2 times" in source


def test_colours_stay_when_channels_go() -> None:
    net = scfx.compress(Residual().double(), torch.randn(2, 1, 8, 8, dtype=torch.float64), quantize=False)
    before = _colours(net)
    state = dict(net.named_parameters())
    with torch.no_grad():
        for name in ("block1.conv1.weight", "block1.bn1.weight", "block1.bn1.bias"):
            state[name][1:] = 0
    assert net.prune()
    after = _colours(net)
    assert len(set(before.values())) == len(before) == 5
    assert set(before) - set(after) == {"block1.conv1.weight"}, "one channel is no axis any more"
    assert after.items() <= before.items()


def _colours(net: scfx.CompressedModule) -> dict[str, str]:
    """The colour of each prunable axis, by the first parameter that it runs along."""
    colours = palette(net.channels)
    return {axis.members[0].name: colours[axis._var] for axis in net.channels if axis.pinned is None}


def test_sizes_are_those_of_the_moment() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    with torch.no_grad():
        for parameter in net[0].parameters():
            parameter[:3] = 0
    compressed = scfx.compress(net, torch.randn(2, 3), quantize=False)
    before = compressed.channels
    assert "input: any x 8\\n" in dot_source(before, "eval")
    compressed.prune()
    assert "input: any x 5\\n" in dot_source(compressed.channels, "eval")
    assert "8 → 5" in Pictures(compressed.channels, before, "eval").of(None).source
    with pytest.raises(InputError, match=r"0\.weight is smaller there"):
        compressed.channels.render("x.dot", before=scfx.channel_graph(smaller(), torch.randn(2, 3)))
    with pytest.raises(InputError, match=r"stem\.0\.weight is not there"):
        graph_of("residual").render("x.dot", before=graph_of("grouped"))


def smaller() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2))


@pytest.mark.slow
@pytest.mark.zoo
def test_a_large_network_is_drawn_whole(tmp_path: Path) -> None:
    graph_of("resnet50").render(tmp_path / "graph.svg", of="")
    picture = (tmp_path / "graph.svg").read_text()
    assert all(
        f"layer{stage}.{block}" in picture for stage, blocks in enumerate((3, 4, 6, 3), 1) for block in range(blocks)
    )


def test_repeated_blocks_are_drawn_once() -> None:
    graph = graph_of("bottlenecks")
    view = Pictures(graph, None, "eval").zooms.model()
    (block,) = [node for node in view.nodes.values() if len(node.places) > 1]
    assert block.id == "block layer3 layer3.1"
    assert view.copies[block.block] == tuple(("layer3", f"layer3.{number}") for number in range(1, 5))
    source = dot_source(graph, "eval", None)
    assert "<b>layer3.1 to layer3.4</b>" in source or "<b>1 to 4</b>" in source
    assert "layer3.2.conv1" not in source
    assert source.count(" -> ") <= dot_source(graph, "eval", "").count(" -> ") - 3 * 8


def test_a_module_is_drawn_with_what_it_is_connected_to() -> None:
    source = dot_source(graph_of("residual"), "eval", "block2")
    assert "from block1" in source
    assert "to branch" in source
    assert "head" not in source
    with pytest.raises(UnknownNameError, match="block1"):
        dot_source(graph_of("residual"), "eval", "block7")


def test_an_axis_is_drawn_with_all_operators_on_its_way() -> None:
    graph = graph_of("residual")
    source = dot_source(graph, "eval", "stem.0.weight[0]")
    assert "relu" in source, "the other zooms leave out what only passes on"
    assert "<b>block2</b>" in source
    assert "head" not in source
    assert "relu</font>" not in dot_source(graph, "eval", "")
    with pytest.raises(InputError, match="there is no dimension 4"):
        dot_source(graph, "eval", "stem.0.weight[4]")
    with pytest.raises(InputError, match=r"head\.weight\[1\] is not one axis but 16 \+ 8: draw one of its axes"):
        dot_source(graph, "eval", "head.weight[1]")


def test_pins_are_marked_with_notes() -> None:
    source = dot_source(graph_of("residual"), "eval", None)
    assert "¹ pinned: model output" in source
    assert ">10 ¹</font>" in source


def test_a_dense_block_is_drawn_without_its_tangle() -> None:
    source = dot_source(graph_of("dense"), "eval")
    assert source.count('style="dashed"') == 2 + 3, "each concatenation but the first of a block continues another one"
    targets = [line.split(" -> ")[1].split(" [")[0] for line in source.splitlines() if " -> " in line]
    assert max(targets.count(target) for target in targets) == 2


# ------------------------------------------------------------------------- errors


def test_unknown_endings_are_refused(tmp_path: Path) -> None:
    for name in ("graph.jpeg", "graph"):
        with pytest.raises(InputError, match=r"\.svg, \.png, \.pdf, \.dot"):
            graph_of("grouped").render(tmp_path / name)


def test_missing_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScfxError, match=r"there is no directory .*nowhere"):
        graph_of("grouped").render(tmp_path / "nowhere" / "graph.svg")


def test_without_pygraphviz_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ScfxError, match=r"pip install 'scfx\[draw\]'"):
        graph_of("grouped").render(tmp_path / "graph.svg")
    graph_of("grouped").render(tmp_path / "graph.dot")


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "graph.svg"
    path.write_text("old")
    monkeypatch.setattr(drawing_layout, "_SCRIPT", "raise SystemExit('no layout today')")
    with pytest.raises(ScfxError, match="no layout today"):
        graph_of("grouped").render(path)
    with monkeypatch.context() as patch:
        patch.setattr(drawing_layout, "_SCRIPT", "print('new')")
        patch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(PermissionError(13, "not allowed")))
        with pytest.raises(ScfxError, match=r"cannot write .*graph\.svg: not allowed"):
            graph_of("grouped").render(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_layout_that_takes_too_long_is_tried_more_simply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing_layout, "EFFORTS", ((1, "slow"), (20, "fast")))
    monkeypatch.setattr(
        drawing_layout, "_SCRIPT", "import sys, time\nif 'slow' in sys.stdin.read(): time.sleep(60)\nprint('done')"
    )
    assert drawing_layout.draw("digraph {", "svg") == b"done\n"
    monkeypatch.setattr(drawing_layout, "EFFORTS", ((1, "slow"),))
    with pytest.raises(ScfxError, match="more than 1 seconds"):
        drawing_layout.draw("digraph {", "svg")
