"""Explanations: what a person is told of a dimension."""

import pytest
import torch
from torch import Tensor, nn

import scfx
from scfx.errors import InputError, UnknownNameError
from scfx.reporting.wording import dim_text
from scfx.terms.dims import concat, fresh, product, take
from tests.graphs import graph_of
from tests.toys import Residual


def test_an_inner_axis_from_where_it_is_made_to_where_it_ends() -> None:
    assert graph_of("residual").explain("block1.conv1.weight", 0).splitlines() == [
        "block1.conv1.weight, dimension 0, of size 8: one axis",
        "",
        "8 channels, prunable",
        "  runs along 6 dimensions of parameters and buffers:",
        "    block1: conv1 weight [0]; bn1 weight, bias, running_mean, running_var [0]; conv2 weight [1]",
        "  passes through, in order:",
        "    block1: conv2d conv1 (makes it) -> batch_norm bn1 -> relu -> "
        "conv2d conv2 (contracts it: the channels end here)",
    ]


def test_dims_in_words() -> None:
    a, b = fresh(2), fresh(4)
    woven = take(concat(a, b), [0, 2, 1, 3, 4, 5])
    assert dim_text(concat(a, b, b)) == "2 + 4 + 4"
    assert dim_text(product(a, concat(a, b))) == "2 x (2 + 4)"
    assert dim_text(product(b, woven)) == "4 x (2 + 4 reordered)"
    assert dim_text(take(a, [0, 1, 0])) == "(3 out of 2)"


def test_a_trunk_says_which_nodes_join_it_and_where_in_the_source() -> None:
    text = graph_of("residual").explain("stem.0.weight", 0)
    assert "is one axis because this operator joins several values:" in text
    assert "add in block1: batch_norm bn2 with relu stem.2   [toys.py:" in text
    assert "return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))" in text
    assert "add (joins it)" in text


def test_pins_come_with_module_and_source_line() -> None:
    graph = graph_of("residual")
    assert "3 channels, pinned: convolution kernel in block1.conv1 (toys.py:" in graph.explain("block1.conv1.weight", 2)
    assert "conv2d conv1 (pins it)" in graph.explain("block1.conv1.weight", 2)
    assert "10 channels, pinned: model output in head (toys.py:" in graph.explain("head.weight", 0)
    assert "linear head (makes it) -> model output" in graph.explain("head.bias", 0)
    assert "pinned: model input x\n" in graph_of("grouped").explain("first.weight", 1)


def test_concatenations_and_products_are_taken_apart() -> None:
    text = graph_of("residual").explain("head.weight", 1)
    assert "of size 24: a concatenation, 16 + 8, of 2 axes" in text
    assert "axis 2 of 2: 8 channels, prunable" in text
    assert "head weight [1] 16 to 23" in text
    text = graph_of("grouped").explain("grouped.weight", 0)
    assert "of size 12: a product, 4 groups x 3, of 2 axes" in text
    assert "axis 1 of 2: 4 groups, prunable" in text
    assert "first weight, bias [0] (2 each)" in text
    assert "group_norm norm (takes a statistic over it)" in text


class Attention(nn.Module):
    """Attention of two heads, as people write it: queries and keys are turned by an angle for each pair of features."""

    def __init__(self) -> None:
        super().__init__()
        self.queries, self.keys, self.values = (nn.Linear(6, 8) for _ in range(3))
        self.out = nn.Linear(8, 2)
        self.angles = nn.Buffer(torch.rand(2))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            made.unflatten(-1, (2, 4)).transpose(1, 2) for made in (self.queries(x), self.keys(x), self.values(x))
        )
        turned = torch.cat([self.angles, self.angles]).cos()
        q = q * turned + torch.cat([-q[..., 2:], q[..., :2]], -1)
        scores = (q @ k.transpose(-1, -2)).softmax(-1)
        result: Tensor = self.out((scores @ v).transpose(1, 2).flatten(2))
        return result


def test_attention_says_what_it_multiplies_with_what() -> None:
    graph = scfx.channel_graph(Attention(), torch.randn(2, 3, 6))
    heads, features = graph.explain("keys.weight", 0).split("axis 2 of 2")
    assert "matmul: linear queries with linear keys" in heads
    assert "matmul: linear queries and linear keys with linear values" in heads
    assert "parts of" not in heads
    assert "matmul: linear queries and cat with linear keys, multiplied and summed over it   [test_explain" in features
    assert "mul, cat, add: linear queries with cat   [" in features
    assert "linear values" not in features


def test_what_only_one_graph_has_is_marked_and_joins_nothing() -> None:
    text = graph_of("grouped").explain("norm.weight", 0)
    assert "dropout drop (in train mode only)" in text
    assert "joins" not in text


def test_both_graphs_count() -> None:
    assert "linear head (contracts it: the channels end here) -> model output ['hidden']" in graph_of("twice").explain(
        "enter.weight", 0
    )


def test_negative_dims_count_from_the_last() -> None:
    graph = graph_of("residual")
    assert graph.explain("head.weight", -1) == graph.explain("head.weight", 1)


def test_what_has_nothing_to_explain_says_so() -> None:
    assert "takes no part" in graph_of("twice").explain("idle", 0)
    assert "a single channel, so nothing to remove" in graph_of("residual").explain("stem.0.weight", 1)
    assert "is a single number" in graph_of("residual").explain("block1.bn1.num_batches_tracked", 0)


def test_wrong_names_and_dims() -> None:
    graph = graph_of("residual")
    with pytest.raises(UnknownNameError, match=r"nearest .*'block1\.conv1\.weight'"):
        graph.explain("block1.conv1.wight", 0)
    with pytest.raises(InputError, match=r"head\.weight has 2 dimensions \(10 x 24\), there is no dimension 2"):
        graph.explain("head.weight", 2)
    with pytest.raises(InputError, match="no dimension -3"):
        graph.explain("head.weight", -3)


def test_long_explanations_are_collapsed_by_module() -> None:
    text = graph_of("bottlenecks").explain("layer3.0.conv3.weight", 0)
    assert len(text.splitlines()) < 30
    assert "layer3.1 to layer3.4, each: conv2d conv1 (contracts it: the channels end here) -> conv2d conv3" in text
    assert "runs along 36 dimensions" in text
    assert text.count("add in layer3.") == 5


def test_every_dimension_of_every_tensor_can_be_explained() -> None:
    graph = graph_of("residual")
    for name in [*graph._parameters, *graph._buffers]:
        for dim in range(max(1, len(graph.dims(name)))):
            text = graph.explain(name, dim)
            assert name in text
            assert len(text.splitlines()) < 60


def test_quantizers_are_named_beside_their_weight_and_explained_after_pruning() -> None:
    net = scfx.compress(Residual(), torch.randn(2, 1, 8, 8))
    assert "conv1 weight, weight_quantizer.bits, weight_quantizer.exponent" in net.channels.explain(
        "block1.conv1.weight", 0
    )
    plain = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        for parameter in plain[0].parameters():
            parameter[1] = 0
    pruned = scfx.compress(plain, torch.randn(2, 3), quantize=False)
    pruned.prune()
    assert pruned.channels.explain("0.weight", 0).startswith("0.weight, dimension 0, of size 3: one axis")
