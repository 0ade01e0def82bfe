"""Costs other than the size: both ends of a weight, multiply-accumulates, bit operations, factors for modules."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import scfx
from tests.passes.test_grouped_products import Experts
from tests.toys import Residual, images


class Grouped(nn.Module):
    """Attention whose keys and values have half as many heads as its queries."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(12, 16), nn.Linear(12, 8)
        self.value, self.out = nn.Linear(12, 8), nn.Linear(16, 12)

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q = self.query(x).view(n, length, 4, 4).transpose(1, 2)
        k, v = (m(x).view(n, length, 2, 4).transpose(1, 2).repeat_interleave(2, 1) for m in (self.key, self.value))
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        result: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return result


def chain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def depth(net: scfx.CompressedModule, name: str) -> nn.Parameter:
    return net.get_parameter(f"{name}.weight_quantizer.bits")


def slope(net: scfx.CompressedModule, cost: Tensor, name: str) -> list[float]:
    (found,) = torch.autograd.grad(cost, depth(net, name), retain_graph=True)
    return [round(value, 6) for value in found.tolist()]


def test_both_ends_count_the_bits_of_what_makes_the_inputs() -> None:
    net = scfx.compress(chain(), torch.randn(5, 4))
    with torch.no_grad():
        depth(net, "0").copy_(torch.tensor([3.0, 5.0, 7.0]))
        depth(net, "2").copy_(torch.tensor([2.0, 4.0]))
    cost = net.cost("bits_both_ends")
    assert cost.item() == pytest.approx((4 * 15 + 3 * 6 + 2 * 15) / 18)
    assert slope(net, cost, "0") == [round((4 + 2) / 18, 6)] * 3
    assert slope(net, cost, "2") == [round(3 / 18, 6)] * 2


def test_both_ends_count_what_is_alive() -> None:
    net = scfx.compress(nn.Sequential(nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 2)), torch.randn(5, 4))
    with torch.no_grad():
        depth(net, "0")[0] = 0
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    net.update(optimizer)
    alive = (4 * 16 + 2 * 16 + 2 * 16) / 18
    assert net.cost("bits_both_ends").item() == pytest.approx(alive)
    net.prune(optimizer)
    assert net.cost("bits_both_ends").item() == pytest.approx(alive)


def test_outputs_without_bits_that_stay_add_nothing_to_what_makes_their_inputs() -> None:
    net = scfx.compress(chain(), torch.randn(5, 4))
    with torch.no_grad():
        depth(net, "2")[0] = 0  # a class, which can't go
    net.update(torch.optim.SGD(net.parameters(), lr=0.0))
    assert net.cost("bits_both_ends").item() == pytest.approx((4 * 24 + 3 * 8 + 1 * 24) / 18)
    assert net.cost("bits").item() == pytest.approx((4 * 24 + 3 * 8) / 18)
    assert net.cost("macs").item() == pytest.approx((4 * 3 + 3) / 18)


def test_the_simple_form_counts_inputs_that_wait_for_a_blocker_as_gone() -> None:
    net = scfx.compress(chain(), torch.randn(5, 4))
    with torch.no_grad():
        net.get_parameter("0.bias").fill_(1.0)
        depth(net, "0")[0] = 0
    net.update(torch.optim.SGD(net.parameters(), lr=0.0))
    assert net.prune().blocked == 1
    assert net.size().item() == pytest.approx((4 * 16 + 2 * 16) / 18)


def test_an_input_with_several_makers_counts_their_mean() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.last = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.last(self.left(x) + self.right(x))
            return result

    net = scfx.compress(Sum(), torch.randn(5, 4))
    with torch.no_grad():
        depth(net, "left").fill_(2.0)
    cost = net.cost("bits_both_ends")
    assert cost.item() == pytest.approx((4 * 6 + 4 * 24 + 3 * 16 + 2 * 3 * 5) / 30)
    assert slope(net, cost, "left") == [round((4 + 2 / 2) / 30, 6)] * 3


def test_heads_that_share_keys_make_one_input_for_each_query_head() -> None:
    net = scfx.compress(Grouped(), torch.randn(2, 5, 12))
    weights = 12 * 16 + 2 * 12 * 8 + 16 * 12
    cost = net.cost("bits_both_ends")
    assert slope(net, cost, "value") == [round((12 + 2 * 12) / weights, 6)] * 8
    assert slope(net, cost, "query") == slope(net, cost, "key") * 2 == [round(12 / weights, 6)] * 16


def test_flattened_and_joined_features_have_their_makers() -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.last = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 3, 3), nn.Linear(5 * 4, 2)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.last(torch.cat([self.a(x), self.b(x)], 1).flatten(1))
            return result

    net = scfx.compress(Joined(), torch.randn(2, 1, 4, 4))
    weights = 9 * 5 + 40
    for name, channels in (("a", 2), ("b", 3)):
        assert slope(net, net.cost("bits_both_ends"), name) == [round((9 + 4 * 2) / weights, 6)] * channels


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 6, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.rnn(x)[0]
        return result


COUNTED: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "residual": (Residual, torch.randn(3, 1, 8, 8)),
    "strided": (
        lambda: nn.Sequential(nn.Conv1d(4, 6, 3, 2, 1, groups=2), nn.Conv1d(6, 6, 1, padding=1)),
        torch.randn(3, 4, 9),
    ),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, groups=2), nn.ConvTranspose2d(6, 2, 1)),
        torch.randn(2, 4, 5, 6),
    ),
    "tokens": (lambda: nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 5)), torch.randint(0, 9, (3, 7))),
}


@pytest.mark.parametrize("kind", COUNTED)
def test_multiply_accumulates_are_those_that_torch_counts(kind: str) -> None:
    """Half of torch's floating-point operations, an independent count of the same layers."""
    make, example = COUNTED[kind]
    model = make()
    net = scfx.compress(model, example)
    with FlopCounterMode(display=False) as counter:
        model.eval()(example)
    assert net._size.original.macs == counter.get_total_flops() / 2
    assert net.cost("macs").item() == pytest.approx(1.0)
    assert net.cost("bit_ops").item() == pytest.approx(8.0)


def test_every_step_of_a_recurrent_layer_counts() -> None:
    net = scfx.compress(Recurrent(), torch.randn(3, 5, 4))
    assert net._size.original.macs == 3 * 5 * 2 * (24 * 4 + 24 * 6 + 24 * 12 + 24 * 6)


def test_each_row_of_experts_meets_one_of_them() -> None:
    net = scfx.compress(Experts().bfloat16(), torch.randn(4, 3, 4).bfloat16(), dynamic=False)
    rows = 4 * 3
    assert net._size.original.macs == rows * (4 * 8 + 8 * 16 + 8 * 8 + 8 * 5)
    assert net.cost("bit_ops").item() == pytest.approx(8.0)
    assert net.cost("macs").item() == pytest.approx(1.0)


def test_multiply_accumulates_follow_what_is_alive_at_both_ends() -> None:
    net = scfx.compress(chain(), torch.randn(5, 4))
    first, last = slope(net, net.cost("macs"), "0"), slope(net, net.cost("macs"), "2")
    assert first == [round((4 + 2) / 18 / 8, 6)] * 3
    assert last == [round(3 / 18 / 8, 6)] * 2
    net = scfx.compress(chain(), torch.randn(5, 4))  # anew: after a backward pass, guards limit the fall
    with torch.no_grad():
        depth(net, "0")[0] = 0
        net.get_parameter("0.bias")[0] = 0
    net.update(torch.optim.SGD(net.parameters(), lr=0.0))
    assert net.cost("macs").item() == pytest.approx((2 * 4 + 2 * 2) / 18)
    net.prune()
    assert net.cost("macs").item() == pytest.approx((2 * 4 + 2 * 2) / 18)


def test_bit_operations_weigh_layers_by_where_they_work() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.small = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 9)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.small(self.wide(x).mean((2, 3)))
            return result

    net = scfx.compress(Two(), torch.randn(2, 1, 8, 8))
    cost = net.cost("bit_ops")
    assert slope(net, cost, "wide") == [round(64 * 9 / (64 * 36 + 36), 6)] * 4
    assert slope(net, cost, "small") == [round(4 / (64 * 36 + 36), 6)] * 9


@pytest.mark.parametrize("kind", ["bits", "bits_both_ends", "macs", "bit_ops"])
def test_factors_for_modules(kind: scfx.CostKind) -> None:
    net = scfx.compress(Residual().double(), images(2))
    whole = net.cost(kind)
    assert net.cost(kind, {"": 3.0}).item() == pytest.approx(3 * whole.item())
    one, rest = net.cost(kind, {"": 0.0, "block1": 1.0}), net.cost(kind, {"block1": 0})
    assert 0 < one.item() < whole.item()
    assert one.item() + rest.item() == pytest.approx(whole.item())
    more = net.cost(kind, {"block1": 2.0, "block1.conv2": 0.0})
    without = net.cost(kind, {"": 0, "block1": 1, "block1.conv2": 0})
    assert more.item() == pytest.approx(rest.item() + 2 * without.item())


def test_unknown_kinds_paths_and_factors_are_refused() -> None:
    net = scfx.compress(chain(), torch.randn(5, 4))
    with pytest.raises(scfx.InputError, match="'bits', 'bits_both_ends', 'macs', 'bit_ops', not 'flops'"):
        net.cost("flops")  # type: ignore[arg-type]
    with pytest.raises(scfx.UnknownNameError, match="no module with a quantized weight in it is called '1'"):
        net.cost("bits", {"1": 2.0})
    for factor in (-1.0, float("nan")):
        with pytest.raises(scfx.InputError, match=r"weights\['0'\] is a factor"):
            net.cost("bits", {"0": factor})


def test_costs_without_quantizers() -> None:
    net = scfx.compress(chain(), torch.randn(5, 4), quantize=False)
    assert net.cost("macs").item() == pytest.approx(1.0)
    assert net.cost("bit_ops").item() == pytest.approx(32.0)
