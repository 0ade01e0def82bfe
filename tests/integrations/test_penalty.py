"""The size term's gradient, added to those that are there."""

from copy import deepcopy

import pytest
import torch

import scfx
from scfx.integrations.penalty import Gamma, add_size_gradient
from tests.toys import images, small


@pytest.mark.parametrize("gamma", [3.0, lambda net: 3.0 * net.size()])
def test_it_is_as_if_the_term_had_been_in_the_loss(gamma: Gamma) -> None:
    net = scfx.compress(small(), images(2), dynamic=False)
    other = deepcopy(net)
    net(images(2)).sum().backward()
    add_size_gradient(net, gamma, scale=0.5)
    add_size_gradient(net, gamma, scale=0.5)
    (other(images(2)).sum() + 3.0 * other.size()).backward()
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-12, atol=1e-12)


def test_without_quantizers_there_is_nothing_to_add() -> None:
    net = scfx.compress(small(), images(2), quantize=False, dynamic=False)
    add_size_gradient(net, 1.0)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_what_is_no_term_is_refused() -> None:
    net = scfx.compress(small(), images(2), dynamic=False)
    with pytest.raises(scfx.InputError, match="gamma has to be a number"):
        add_size_gradient(net, lambda net: net.get_parameter("0.weight_quantizer.bits"))
