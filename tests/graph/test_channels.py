"""The public face of the channel graph: axes, members, their indices."""

import numpy as np
import pytest
import torch

import scfx
from scfx.errors import UnknownNameError
from tests.graphs import Twice, axis_of, graph_of


def test_a_residual_trunk_is_one_axis_over_convolutions_norms_and_buffers() -> None:
    trunk = axis_of(graph_of("residual"), "block1.conv2.weight", 0)
    assert trunk.size == 8
    assert trunk.pinned is None
    members = {(member.name, member.dim) for member in trunk.members}
    assert {("stem.0.weight", 0), ("block1.bn2.bias", 0), ("block1.bn2.running_var", 0)} <= members
    assert {("block1.conv1.weight", 1), ("block2.conv1.weight", 1), ("block2.shortcut.0.weight", 1)} <= members
    assert not any(name.startswith("head") for name, _ in members)


def test_axes_partition_the_dims_and_are_listed_once() -> None:
    graph = graph_of("residual")
    assert list(graph) == list(graph.axes)
    places = [(member.name, member.dim) for axis in graph for member in axis.members]
    shared = {place for place in places if places.count(place) > 1}
    assert shared == {("head.weight", 1)}, "only the classifier's inputs are a concatenation"


def test_indices_of_a_concatenation_follow_one_another() -> None:
    graph = graph_of("residual")
    members = [m for axis in graph for m in axis.members if (m.name, m.dim) == ("head.weight", 1)]
    occupied = [np.concatenate([m.indices(channel) for channel in range(m._axis.size)]) for m in members]
    assert sorted(map(tuple, occupied)) == [tuple(range(16)), tuple(range(16, 24))]


def test_indices_of_a_product_are_strided_and_ascending() -> None:
    graph = graph_of("grouped")
    members = [m for axis in graph for m in axis.members if (m.name, m.dim) == ("grouped.weight", 0)]
    groups, inner = members
    assert groups.indices(1).tolist() == [3, 4, 5]
    assert inner.indices(1).tolist() == [1, 4, 7, 10]
    assert inner.indices(1).dtype == np.int64
    flattened = [m for axis in graph for m in axis.members if (m.name, m.dim) == ("last.weight", 1)]
    assert flattened[0].indices(0).tolist() == list(range(12))


def test_a_channel_that_is_not_there_is_an_index_error() -> None:
    member = axis_of(graph_of("residual"), "block1.conv1.weight", 0).members[0]
    with pytest.raises(IndexError, match="8 channels, there is no channel 8"):
        member.indices(8)
    with pytest.raises(IndexError, match="no channel -1"):
        member.indices(-1)


def test_inputs_outputs_and_windows_are_pinned_with_a_reason() -> None:
    graph = graph_of("grouped")
    assert "model input" in str(axis_of(graph, "first.weight", 1).pinned)
    assert "model output" in str(axis_of(graph, "last.weight", 0).pinned)
    assert "convolution kernel" in str(axis_of(graph, "grouped.weight", 3).pinned)


def test_dims_know_tied_names_and_unused_parameters() -> None:
    graph = graph_of("twice")
    assert graph.dims("tied.weight") == graph.dims("enter.weight") != ()
    assert graph.dims("idle") == ()
    with pytest.raises(UnknownNameError, match=r"enter\.weight"):
        graph.dims("enter.wieght")


def test_keeping_a_tied_name_keeps_the_tensor() -> None:
    net = scfx.compress(Twice(), torch.randn(2, 4), quantize=False, keep="tied.weight", outputs="logits")
    assert "kept" in str(axis_of(net.channels, "enter.weight", 0).pinned)


def test_everything_prints() -> None:
    graph = graph_of("residual")
    axis = axis_of(graph, "block1.conv1.weight", 0)
    assert repr(graph) == "ChannelGraph(18 axes, 13 of them pinned, 0 operators without a rule)"
    assert repr(axis).startswith("Axis(size=8, pinned=None, members=[block1.conv1.weight[0], ")
    assert repr(axis.members[0]) == "block1.conv1.weight[0]"


def test_analysis_leaves_the_model_alone() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    scfx.channel_graph(model, torch.randn(3, 3))
    assert not model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
