"""What the analysis finds in networks whose axes are known: sizes, members, pins, and operators that have no rule."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import scfx
from scfx.signatures import TABLE, override
from scfx.signatures.call import Call
from scfx.signatures.coded import Coded
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record

IMAGES = torch.randn(2, 3, 4, 4)


def axes(model: nn.Module, x: Tensor = IMAGES) -> dict[str, list[tuple[int, str | None]]]:
    """For each dimension of each parameter, as "name[dim]", the size and the pin of each axis that takes part in it."""
    found: dict[str, list[tuple[int, str | None]]] = {}
    for axis in scfx.channel_graph(model, x).axes:
        for member in axis.members:
            found.setdefault(repr(member), []).append((axis.size, axis.pinned))
    return found


def free(model: nn.Module, x: Tensor = IMAGES) -> set[tuple[int, frozenset[str]]]:
    """The axes that aren't pinned: size, and the dims of parameters that take part."""
    graph = scfx.channel_graph(model, x)
    names = {name for name, _ in model.named_parameters()}
    return {
        (axis.size, frozenset(repr(member) for member in axis.members if member.name in names))
        for axis in graph.axes
        if axis.pinned is None
    }


class Shuffled(nn.Module):
    """ShuffleNet's unit: one half goes through, the other is convolved, and then channels are shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels // 2, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        y = torch.cat([kept, self.conv(changed)], 1)
        batch, channels, height, width = y.shape
        return y.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


def test_a_shuffle_couples_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), Shuffled(8), nn.Conv2d(8, 2, 1))
    assert free(model) == {
        (4, frozenset({"0.weight[0]", "0.bias[0]", "2.weight[1]"})),
        (4, frozenset({"0.weight[0]", "0.bias[0]", "1.conv.weight[1]"})),
        (4, frozenset({"1.conv.weight[0]", "2.weight[1]"})),
    }


def test_the_channels_of_a_shuffle_take_turns() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), Shuffled(8), nn.Conv2d(8, 2, 1))
    found = [axis for axis in scfx.channel_graph(model, IMAGES).axes if "2.weight[1]" in map(repr, axis.members)]
    places = [{repr(member): member.indices(1).tolist() for member in axis.members} for axis in found]
    assert {"0.weight[0]": [1], "0.bias[0]": [1], "2.weight[1]": [2]} in places
    assert {"1.conv.weight[0]": [1], "2.weight[1]": [3]} in places


def test_repeated_shuffles_split_axes_and_pin_none() -> None:
    two = nn.Sequential(nn.Conv2d(3, 8, 1), Shuffled(8), Shuffled(8), nn.Conv2d(8, 2, 1))
    assert sorted(size for size, _ in free(two)) == [2, 2, 2, 2, 4, 4]
    three = nn.Sequential(nn.Conv2d(3, 8, 1), *[Shuffled(8) for _ in range(3)], nn.Conv2d(8, 2, 1))
    assert sorted(size for size, _ in free(three)) == [2, 2, 2, 2, 4, 4]


def test_an_order_that_is_only_known_as_views_goes_by_rows() -> None:
    class Rows(nn.Module):
        """What is shuffled is read in between, so that the rows are there to see."""

        def forward(self, x: Tensor) -> Tensor:
            rows = torch.relu(x.unflatten(1, (2, 4)))
            return rows.transpose(1, 2).flatten(1, 2)

    model = nn.Sequential(nn.Conv2d(3, 8, 1), Rows(), nn.Conv2d(8, 2, 1))
    assert {size for size, _ in free(model)} == {2, 4}


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True))))
        return x * gate.sigmoid()


def test_a_squeeze_excite_gate_is_on_the_trunk_s_axis() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), SqueezeExcite(8, 5), nn.Conv2d(8, 2, 1))
    trunk = {"0.weight[0]", "0.bias[0]", "1.down.weight[1]", "1.up.weight[0]", "1.up.bias[0]", "2.weight[1]"}
    assert free(model) == {
        (8, frozenset(trunk)),
        (5, frozenset({"1.down.weight[0]", "1.down.bias[0]", "1.up.weight[1]"})),
    }


class Dense(nn.Module):
    """DenseNet's way: every layer sees what all layers before it made."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 5, 1, bias=False)
        self.norm, self.last = nn.BatchNorm2d(9), nn.Conv2d(9, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = torch.cat([x, self.second(x)], 1)
        y: Tensor = self.last(torch.relu(self.norm(x)))
        return y


def test_what_is_concatenated_stays_apart() -> None:
    model = Dense()
    both = {"norm.weight[0]", "norm.bias[0]", "last.weight[1]"}
    assert free(model) == {
        (4, frozenset({"first.weight[0]", "second.weight[1]", *both})),
        (5, frozenset({"second.weight[0]", *both})),
    }
    (axis,) = [axis for axis in scfx.channel_graph(model, IMAGES).axes if "second.weight[0]" in map(repr, axis.members)]
    assert {member.name: member.indices(2).tolist() for member in axis.members}["norm.weight"] == [6]


def test_group_norm_makes_groups_and_channels_of_a_group() -> None:
    model = nn.Sequential(nn.Conv2d(3, 12, 1), nn.GroupNorm(4, 12), nn.Conv2d(12, 2, 1))
    members = frozenset({"0.weight[0]", "0.bias[0]", "1.weight[0]", "1.bias[0]", "2.weight[1]"})
    assert free(model) == {(4, members), (3, members)}


def test_depthwise_convolutions_are_on_the_trunk_s_axis() -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1, groups=6), nn.Conv2d(6, 2, 1))
    assert free(model) == {(6, frozenset({"0.weight[0]", "0.bias[0]", "1.weight[0]", "1.bias[0]", "2.weight[1]"}))}


def test_a_channel_multiplier_makes_copies_of_each_channel() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 12, 1, groups=4), nn.Conv2d(12, 2, 1))
    behind = {"1.weight[0]", "1.bias[0]", "2.weight[1]"}
    assert free(model) == {(4, frozenset({"0.weight[0]", "0.bias[0]", *behind})), (3, frozenset(behind))}


def test_grouped_convolutions_have_groups_and_channels_in_and_out() -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 8, 1, groups=2), nn.Conv2d(8, 2, 1))
    before, behind = {"0.weight[0]", "0.bias[0]"}, {"1.weight[0]", "1.bias[0]", "2.weight[1]"}
    assert free(model) == {
        (2, frozenset(before | behind)),
        (3, frozenset({*before, "1.weight[1]"})),
        (4, frozenset(behind)),
    }


def test_flattening_gives_each_channel_a_block_of_features() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 4 * 4, 2))
    found = [axis for axis in scfx.channel_graph(model, IMAGES).axes if "2.weight[1]" in map(repr, axis.members)]
    (axis,) = [axis for axis in found if axis.pinned is None]
    assert axis.size == 4
    assert [axis.size for axis in found if axis.pinned == "convolution window (at conv2d)"] == [4, 4]
    assert {repr(m): m.indices(1).tolist() for m in axis.members}["2.weight[1]"] == list(range(16, 32))


class WithSoftmax(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.b(self.a(x).softmax(-1))
        return y


def test_a_rigid_dim_is_pinned_with_its_reason() -> None:
    pins = {pin for _, pin in axes(WithSoftmax(), torch.randn(2, 3))["a.weight[0]"]}
    assert pins == {"softmax along it (at softmax)"}


def test_an_operator_without_a_rule_pins_what_it_touches_and_is_named() -> None:
    with override("aten.softmax.int", None):
        graph = scfx.channel_graph(WithSoftmax(), torch.randn(2, 3))
    assert {(trouble.target, trouble.reason) for trouble in graph._inference.troubles} == {
        ("aten.softmax.int", "no rule")
    }
    (axis,) = [axis for axis in graph.axes if "a.weight[0]" in map(repr, axis.members)]
    assert axis.pinned == "unknown operator aten.softmax.int (at softmax)"


def _broken(call: Call) -> Operator:
    raise ZeroDivisionError("oops")


def _letters(signature: str) -> Pattern:
    return Pattern(targets=("aten.softmax.int",), signature=signature, pointwise="b c d")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (_letters("b c -> c b"), "where the signature says"),
        (_letters("b c d -> b c d"), "self has 2 dims where the signature says 3"),
        (_letters("(b c) d -> (b c) d"), "can't be told apart"),
        (Coded(targets=("aten.softmax.int",), dims=lambda call: ((),)), "the rule makes the shape"),
        (Choice(targets=("aten.softmax.int",), choose=_broken), "the rule failed: ZeroDivisionError: oops"),
    ],
)
def test_a_rule_that_does_not_fit_pins_and_says_how(wrong: Record, reason: str) -> None:
    assert "aten.softmax.int" in TABLE
    with override("aten.softmax.int", wrong):
        graph = scfx.channel_graph(WithSoftmax(), torch.randn(2, 3))
    assert {reason in trouble.reason for trouble in graph._inference.troubles} == {True}
    (axis,) = [axis for axis in graph.axes if "a.weight[0]" in map(repr, axis.members)]
    assert axis.pinned is not None
    assert axis.pinned.startswith("aten.softmax.int: ")
