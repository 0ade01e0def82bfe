"""What settling a model does to it."""

import torch
from torch import Tensor, nn

from tests.zoo.inputs import images
from tests.zoo.model import ZooModel


class Net(nn.Module):
    """A number of each kind that is settled."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.5)
        self.drop_prob = 0.3
        self.gamma = nn.Parameter(1e-6 * torch.ones(4, 1, 1))
        self.dropping_rate_steps = 7

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dropout(self.norm(self.conv(x))) * self.gamma
        return y + self.drop_prob * torch.rand_like(y)


def test_settle() -> None:
    model = ZooModel("own/net", Net, images(8))
    net = model.settled()
    assert isinstance(net, Net)
    x = model.inputs(4, 0)
    assert torch.equal(net.train()(*x), net(*x))
    assert (net.drop_prob, net.dropping_rate_steps) == (0.0, 7)
    for constant in (net.norm.weight, net.norm.bias, net.gamma):
        assert len(constant.unique()) == 4
    assert float(net.gamma.detach().min()) >= 0.5
    assert net.norm.momentum == 0.1
    fitted = net.state_dict()["norm.running_mean"].clone()
    net.norm.momentum = 1.0
    net(*x)
    assert torch.equal(fitted, net.state_dict()["norm.running_mean"])
    assert bool(fitted.all())


def test_settled_models_are_reproducible() -> None:
    one, two = (ZooModel("own/net", Net, images(8)).settled(3) for _ in range(2))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name
