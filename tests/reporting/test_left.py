"""What is left of a network, as it is logged."""

from copy import deepcopy

import pytest
import torch

import scfx
from tests.toys import images, small


def test_a_whole_network_is_left_at_first() -> None:
    left = scfx.compress(small(), images(2), dynamic=False).left()
    assert left.scalars() == {"bits_per_weight": 8.0, "weights_left": 1.0, "channels_left": 1.0}
    assert left.widths == {"0.weight": 8, "3.weight": 6, "6.weight": 10}


@pytest.mark.parametrize("quantize", [True, False])
def test_shares_are_of_what_there_was_at_first(quantize: bool) -> None:
    model = small()
    with torch.no_grad():
        for name in ("0.weight", "0.bias", "1.bias"):
            model.get_parameter(name)[:4] = 0
    net = scfx.compress(model, images(2), quantize=quantize, dynamic=False)
    if quantize:
        with torch.no_grad():
            net.get_parameter("0.weight_quantizer.bits")[:4] = 0
    before = net.left()
    net.prune()
    left = deepcopy(net).left()
    gone = 4 * 9 + 4 * 6 * 9  # of the convolution that makes them, and of the one that reads them
    every = sum(p.numel() for p in model.parameters() if p.dim() > 1)
    assert before.weights == before.channels == 1
    assert left.weights == pytest.approx(1 - gone / every)
    assert left.channels == pytest.approx(1 - 4 / 14)
    assert left.widths["0.weight"] == 4
    assert left.bits <= before.bits
