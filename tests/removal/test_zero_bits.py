"""Which channels have no bits, which go, which are blocked and by what: printed in the middle of a training."""

import pytest
import torch
from torch import Tensor, nn

import scfx
from scfx.removal.zero_bits import COSTLY, HEARD, LAST, TOGETHER, Blocker, ZeroBits
from scfx.reporting.left import Left
from tests.toys import Residual, images


def without_bits(net: scfx.CompressedModule, channels: dict[str, list[int]]) -> scfx.CompressedModule:
    with torch.no_grad():
        for weight, indices in channels.items():
            net.get_parameter(f"{weight}_quantizer.bits")[indices] = 0
    return net


def by_weight(net: scfx.CompressedModule) -> dict[str, ZeroBits]:
    return {each.weight: each for each in net.left().zero_bits}


def test_a_network_with_batch_norm() -> None:
    torch.manual_seed(0)
    model = Residual(6).double()
    with torch.no_grad():
        for norm in (model.block1.bn1, model.block1.bn2):
            norm.bias.copy_(torch.arange(6) / 8)
    net = scfx.compress(model, images(2), dynamic=False)
    assert net.left().zero_bits == ()
    assert str(net.left()).splitlines() == [
        "8 bits per original weight, 100 % of the weights and 100 % of the channels left",
        "0 of 70 output channels have no bits",
    ]
    without_bits(
        net,
        {
            "stem.0.weight": [1, 2],
            "block1.conv1.weight": [0, 2, 5],
            "block1.conv2.weight": [2, 3],
            "branch.weight": list(range(6)),
            "head.weight": [4],
        },
    )
    with torch.no_grad():
        net.get_parameter("branch.bias").zero_()
    found = by_weight(net)
    shift = Blocker("block1.bn1.bias", 2, 0.625)
    assert found["block1.conv1.weight"] == ZeroBits("block1.conv1.weight", 6, (0,), (2, 5), (shift,))
    stem, conv = found["stem.0.weight"], found["block1.conv2.weight"]
    assert (stem.removable, stem.blocked, conv.removable, conv.blocked) == ((), (2,), (), (2,))
    assert stem.staying == {"block1.conv2.weight has bits for them": (1,)}
    assert conv.staying == {"stem.0.weight has bits for them": (3,)}
    assert {each.name for each in stem.blockers} == {"stem.0.bias", "block1.bn2.bias"}
    assert Blocker("block1.bn2.bias", 1, 0.25) in stem.blockers == conv.blockers
    assert found["branch.weight"] == ZeroBits("branch.weight", 6, (1, 2, 3, 4, 5), staying={LAST: (0,)})
    assert found["head.weight"] == ZeroBits("head.weight", 10, (), staying={"pinned: model output": (4,)})
    assert [each.count for each in net.left().zero_bits] == [6, 3, 2, 2, 1]
    lines = str(net.left()).splitlines()
    assert lines[1] == "14 of 70 output channels have no bits: 6 go with the next removal, 4 are blocked, 4 stay"
    assert "block1.bn1.bias: 2 up to 0.62" in next(line for line in lines if "block1.conv1" in line)
    assert [line.split()[0] for line in lines[2:5]] == ["weight", "branch.weight", "block1.conv1.weight"]
    expected = sum(len(each.removable) for each in found.values())
    before, report = net.left().widths, net.prune()
    assert sum(before.values()) - sum(net.left().widths.values()) == expected == 6
    assert report.blockers == {"block1.bn1.bias": 2, "block1.bn2.bias": 1, "stem.0.bias": 1}
    assert by_weight(net)["branch.weight"] == ZeroBits("branch.weight", 1, (), staying={LAST: (0,)})


class Encoder(nn.Module):
    """A pre-norm encoder layer between projections, with a table of positions that is no weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.positions = nn.Parameter(torch.randn(5, 8) / 4)
        self.layer = nn.TransformerEncoderLayer(8, 2, 10, 0.0, batch_first=True, norm_first=True)
        self.norm, self.last = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.norm(self.layer(self.first(x) + self.positions)).mean(1))
        return result


def test_a_transformer_with_layer_norm() -> None:
    torch.manual_seed(0)
    net = scfx.compress(Encoder(), torch.randn(4, 5, 6), dynamic=False)
    trunk = ["first.weight", "layer.self_attn.out_proj.weight", "layer.linear2.weight"]
    # Of two heads with four features: queries 0 and keys 1 of both; queries 2 of one.
    attention = {"layer.self_attn.in_proj_weight": [0, 4, 9, 13, 2]}
    without_bits(net, {name: [3, 6] for name in trunk} | {"layer.linear1.weight": [7]} | attention)
    without_bits(net, {"first.weight": [2]})
    with torch.no_grad():
        net.get_parameter("positions")[:, 6] = 0
    found = by_weight(net)
    assert found["layer.linear1.weight"].blocked == (7,)
    assert [each.name for each in found["layer.linear1.weight"].blockers] == ["layer.linear1.bias"]
    for name in trunk:
        assert found[name].blocked == (6,), "the table is zero there"
        assert found[name].staying[HEARD] == (3,), "the table is not"
        blockers = {each.name for each in found[name].blockers}
        assert {"first.bias", "layer.norm1.weight", "layer.norm2.weight", "norm.weight"} < blockers
        assert "layer.norm1.bias" not in blockers, "it is zero"
        assert found[name].blockers[0].entries == 1
    assert found["first.weight"].staying["layer.self_attn.out_proj.weight has bits for them"] == (2,)
    assert found["layer.self_attn.in_proj_weight"] == ZeroBits(
        "layer.self_attn.in_proj_weight", 24, (0, 4, 9, 13), staying={TOGETHER: (2,)}
    )


def test_branches_that_are_not_worth_it() -> None:
    torch.manual_seed(0)
    net = scfx.compress(Residual(4), images(2).float(), dynamic=False, branches=True)
    without_bits(net, {"block1.conv2.weight": [1]})
    with torch.no_grad():
        net.get_parameter("block1.bn2.bias").zero_()
    assert net.left().zero_bits == (ZeroBits("block1.conv2.weight", 4, (), staying={COSTLY: (1,)}),)
    assert net.prune().channels_after == net.prune().channels_before


@pytest.mark.parametrize("layers", [3, 200])
def test_many_layers_are_summed_up(layers: int) -> None:
    """Those with most first, and a count in place of what is too much to read."""
    bits = tuple(
        ZeroBits(f"layers.{i}.weight", 512, tuple(range(i)), (400,), (Blocker(f"layers.{i}.bias", 1, 0.5),))
        for i in reversed(range(layers))
    )
    widths = {each.weight: each.channels for each in bits}
    lines = str(Left(1, 1, 1, widths, bits)).splitlines()
    go = sum(range(layers))
    assert lines[1].endswith(f"{go:,} go with the next removal, {layers} are blocked, 0 stay")
    assert len(lines) == 3 + min(layers, 24)
    assert lines[3].split()[0] == f"layers.{layers - 1}.weight"
    assert ("... 177 more weights ..." in "\n".join(lines)) == (layers == 200)
