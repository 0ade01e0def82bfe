"""What takes a dimension apart comes in front of the view that made the dimension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import scfx
from scfx.passes.explicit_shapes import ExplicitShapes
from scfx.passes.normalize import NORMALIZE
from scfx.passes.split_before_view import SplitBeforeView
from tests.oracle import check_exact
from tests.passes.tools import captured, check, program

Function = Callable[[Tensor], Any]

#: As in normalization: `x[:, 0]` is a slice that takes everything and a selection until the shapes are explicit.
PASSES = (ExplicitShapes(), SplitBeforeView())


class Toy(nn.Module):
    """A function of the result of a linear layer: 4 samples of 5 tokens of 24 features."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 24).double()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.layer(x))


def batch(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(size, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(size)),)


def fused(x: Tensor) -> Tensor:
    q, k, v = x.reshape(x.shape[0], 5, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
    return F.scaled_dot_product_attention(q, k, v)


def test_printed_program() -> None:
    toy = check(Toy(fused), batch, [SplitBeforeView()])
    assert program(toy.graph)[2:] == [
        "split_with_sizes_default = split_with_sizes.default(linear, [8, 8, 8], 2)",
        "getitem_3 = getitem(split_with_sizes_default, 0)",
        "unflatten_int = unflatten.int(getitem_3, 2, [1, 2, 4])",
        "getitem_4 = getitem(split_with_sizes_default, 1)",
        "unflatten_int_1 = unflatten.int(getitem_4, 2, [1, 2, 4])",
        "getitem_5 = getitem(split_with_sizes_default, 2)",
        "unflatten_int_2 = unflatten.int(getitem_5, 2, [1, 2, 4])",
        "permute_default = permute.default(unflatten_int, [2, 0, 3, 1, 4])",
        "permute_default_1 = permute.default(unflatten_int_1, [2, 0, 3, 1, 4])",
        "permute_default_2 = permute.default(unflatten_int_2, [2, 0, 3, 1, 4])",
        "select_int = select.int(permute_default, 0, 0)",
        "select_int_1 = select.int(permute_default_1, 0, 0)",
        "select_int_2 = select.int(permute_default_2, 0, 0)",
        "scaled_dot_product_attention = scaled_dot_product_attention.default(select_int, select_int_1, select_int_2)",
        "return [scaled_dot_product_attention]",
    ]


def keys_and_values(x: Tensor) -> Any:
    """Two of something, taken by indices, the second one first."""
    pair = x.view(-1, 5, 2, 12).transpose(1, 2)
    return pair[:, 1] * 2, pair[:, -2].exp()


def heads_outermost(x: Tensor) -> Any:
    """Queries, keys and values of each head beside each other."""
    return [part * 2 for part in x.unflatten(-1, (2, 3, 4)).unbind(-2)]


def heads_together(x: Tensor) -> Any:
    """Nine heads of which query, key and value take four, one and one."""
    return [part * 2 for part in x.view(-1, 5, 6, 4).transpose(1, 2).split([4, 1, 1], 1)]


def slices(x: Tensor) -> Any:
    """Grouped heads: in each group two queries, a key and a value."""
    groups = x.unflatten(2, (2, 4, 3))
    return groups[..., :-2, :] * 2, groups[..., -2, :] + 1, groups[..., 3:, :]


def multi_head_attention(x: Tensor) -> Any:
    """What torch's own multi-head attention does with its fused projection."""
    each = x.unflatten(-1, (3, 8)).unsqueeze(0).transpose(0, -2).squeeze(-2).contiguous()
    return each[0] * each[1] + each[2]


def nested(x: Tensor) -> Any:
    """Two directions, of which each has a gate and a value."""
    first, second = x.view(-1, 5, 2, 12).unbind(2)
    gates = second.view(-1, 5, 2, 6)
    return first * 2, gates[:, :, 0].sigmoid() * gates[:, :, 1]


def nested_in_one_view(x: Tensor) -> Any:
    each = x.view(-1, 5, 2, 2, 6).permute(2, 3, 0, 1, 4)
    return [each[i][j] * 2 for i in range(2) for j in range(2)]


def carried_on(x: Tensor) -> Any:
    """A copy, scaling and another view in between."""
    each = (x.view(-1, 5, 3, 8).permute(2, 0, 1, 3).clone() * 0.5).view(3, -1, 5, 2, 4)
    return F.relu(each)[0] + each[1].sin()


def some_heads(x: Tensor) -> Any:
    """A view of the weights' side: the batch is merged with the tokens, and one part is never used."""
    each = x.reshape(-1, 4, 6)
    return each[:, 0] + each[:, 2], each[:, 3]


MOVED: dict[str, tuple[Function, list[list[int]]]] = {
    "fused": (fused, [[8, 8, 8]]),
    "two": (keys_and_values, [[12, 12]]),
    "heads outermost": (heads_outermost, [[4, 4, 4]]),
    "heads together": (heads_together, [[16, 4, 4]]),
    "slices": (slices, [[6, 3, 3]]),
    "multi-head attention": (multi_head_attention, [[8, 8, 8]]),
    "nested": (nested, [[12, 12], [6, 6]]),
    "nested in one view": (nested_in_one_view, [[12, 12], [6, 6], [6, 6]]),
    "carried on": (carried_on, [[8, 8, 8]]),
    "some heads": (some_heads, [[6, 6, 6, 6]]),
}


@pytest.mark.parametrize(("function", "sizes"), MOVED.values(), ids=MOVED.keys())
def test_moved(function: Function, sizes: list[list[int]]) -> None:
    toy = check(Toy(function), batch, PASSES)
    splits = [node for node in toy.graph.nodes if node.target is torch.ops.aten.split_with_sizes.default]
    assert [node.args[1] for node in splits] == sizes


STAYS: dict[str, Function] = {
    "also used whole": lambda x: (y := x.view(-1, 5, 3, 8), y[:, :, 0] + y.sum(2)),
    "handed out": lambda x: (y := x.view(-1, 5, 3, 8), y[:, :, 0]),
    "overlapping": lambda x: (y := x.view(-1, 5, 3, 8), y[:, :, :2].sum() + y[:, :, 1:].sum())[1],
    "strided": lambda x: x.view(-1, 5, 4, 6)[:, :, ::2].select(2, 1),
    "along another dim": lambda x: x.view(-1, 5, 3, 8)[:, 0] * 2,
    "innermost": lambda x: x.view(-1, 5, 8, 3).unbind(-1),
    "mixed in between": lambda x: x.view(-1, 5, 3, 8).cumsum(2)[:, :, 0],
    "merged in between": lambda x: x.view(-1, 5, 3, 8).transpose(1, 2).flatten(1, 2)[:, 0],
    "random in between": lambda x: F.dropout(x.view(-1, 5, 3, 8), 0.5)[:, :, 0],
    "across dims": lambda x: x.reshape(-1, 4, 30)[:, 0],
    "of the batch": lambda x: x.view(-1, 1, 5, 24)[0],
}


def test_stays() -> None:
    toy = captured(Toy(lambda x: [function(x) for function in STAYS.values()]), *batch(3))
    ExplicitShapes()(toy.graph, toy.root)
    before = program(toy.graph)
    assert SplitBeforeView()(toy.graph, toy.root) == 0
    assert program(toy.graph) == before


class Attention(nn.Module):
    """Attention with one projection for all three, then a layer that reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(6, 24), nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = fused(self.qkv(x)).transpose(1, 2).flatten(2)
        result: Tensor = self.out(x)
        return result


def test_queries_and_values_have_their_own_features() -> None:
    """Features of queries and keys go without those of values, and a whole head goes."""
    net = scfx.compress(Attention().double(), batch(2)[0], quantize=False)
    sizes = sorted(axis.size for axis in net.channels.axes if axis.pinned is None)
    assert sizes == [2, 4, 4], "heads, features of queries and keys, features of values"
    with torch.no_grad():
        for row in (0, 4, 8, 12):  # feature 0 of the queries and keys of both heads
            net.get_parameter("qkv.weight")[row] = 0
            net.get_parameter("qkv.bias")[row] = 0
    x = batch(3)[0]
    expected = net(x)
    net.prune()
    torch.testing.assert_close(net(x), expected, rtol=0, atol=1e-12)
    assert net.get_parameter("qkv.weight").shape == (3 * 2 * 2 + 8, 6)
    assert net.get_parameter("out.weight").shape == (6, 8)
    with torch.no_grad():
        net.get_parameter("out.weight")[:, 4:] = 0  # nobody reads the second head
    expected = net(x)
    net.prune()
    torch.testing.assert_close(net(x), expected, rtol=0, atol=1e-12)
    assert net.get_parameter("qkv.weight").shape == (3 + 3 + 4, 6)
    assert net.get_parameter("out.weight").shape == (6, 4)


def test_exact() -> None:
    torch.manual_seed(0)
    outcome = check_exact(Attention().double(), batch(2), everything_first=True, name="attention")
    assert outcome.removed > 0


def test_torch_attention() -> None:
    """In the layer of torch.nn, too, queries and keys shrink without values."""
    layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True).double()
    graph = scfx.channel_graph(nn.Sequential(nn.Linear(6, 8).double(), layer, nn.Linear(8, 3).double()), batch(2)[0])
    members = [{repr(member) for member in axis.members} for axis in graph.axes if axis.pinned is None]
    assert sum(any("in_proj_weight[0]" in name for name in names) for names in members) == 3
    assert any(
        "1.self_attn.out_proj.weight[1]" in names and "1.self_attn.in_proj_weight[0]" in names for names in members
    )


def test_part_of_normalization() -> None:
    toy = check(Toy(fused), batch, NORMALIZE)
    assert not any("unbind" in line for line in program(toy.graph))
