"""Release: zero-bit channels go, whatever biases, shifts and norm scales hold them up, and the loss does not jump."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

import scfx
from tests.toys import images


class Grouped(nn.Module):
    """A block with two query heads to each key head, every layer with a bias, between norms of one kind."""

    def __init__(self, norm: Callable[[int], nn.Module], post: bool) -> None:
        super().__init__()
        self.post = post
        self.first, self.last = nn.Linear(6, 12), nn.Linear(12, 5)
        self.norm1, self.norm2, self.norm3 = norm(12), norm(12), norm(12)
        self.query, self.key, self.value = (nn.Linear(12, n) for n in (16, 8, 8))
        self.out = nn.Linear(16, 12)
        self.up, self.down = nn.Linear(12, 10), nn.Linear(10, 12)

    def attend(self, x: Tensor) -> Tensor:
        q = self.query(x).view(x.shape[0], -1, 4, 4).transpose(1, 2)
        k, v = (m(x).view(x.shape[0], -1, 2, 4).transpose(1, 2).repeat_interleave(2, 1) for m in (self.key, self.value))
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        result: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return result

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.post:
            x = self.norm1(x + self.attend(x))
            x = self.norm2(x + self.down(torch.relu(self.up(x))))
        else:
            x = x + self.attend(self.norm1(x))
            x = x + self.down(torch.relu(self.up(self.norm2(x))))
        result: Tensor = self.last(self.norm3(x)).mean(1)
        return result


def grouped_norm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.GroupNorm(4, 8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 5)
    )


def batch_norm() -> nn.Module:
    first, second = (nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU()), (nn.Conv2d(6, 4, 3), nn.BatchNorm2d(4))
    return nn.Sequential(*first, *second, nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))


TRUNK = ("first", "out", "down")

CASES: dict[str, tuple[Callable[[], nn.Module], Tensor, dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]] = {
    "batch norm": (
        batch_norm, images(16), {"0": (0, 3), "3": (1,)}, {"0.weight": (4, 1, 3, 3), "7.weight": (5, 48)}
    ),
    "group norm": (grouped_norm, images(16), {"0": (2, 3), "3": (1,)}, {"0.weight": (6, 1, 3, 3), "6.weight": (5, 80)}),
    "pre-norm": (
        lambda: Grouped(nn.LayerNorm, post=False), torch.randn(8, 4, 6).double(),
        {**dict.fromkeys(TRUNK, (1, 7)), "up": (0, 4)}, {"first.weight": (10, 6), "up.weight": (8, 10)},
    ),
    "post-norm": (
        lambda: Grouped(nn.LayerNorm, post=True), torch.randn(8, 4, 6).double(),
        {**dict.fromkeys(TRUNK, (1, 7)), "up": (0, 4)}, {"first.weight": (10, 6), "up.weight": (8, 10)},
    ),
    "root mean square norm": (
        lambda: Grouped(nn.RMSNorm, post=False), torch.randn(8, 4, 6).double(),
        {**dict.fromkeys(TRUNK, (1, 7)), "up": (0, 4)}, {"first.weight": (10, 6), "up.weight": (8, 10)},
    ),
    "values of grouped heads": (
        lambda: Grouped(nn.LayerNorm, post=False), torch.randn(8, 4, 6).double(),
        {"value": (1, 5)}, {"value.weight": (6, 12), "out.weight": (12, 12)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_zero_bit_channels_go_without_a_jump(case: str) -> None:
    """Biases and shifts start far from zero; from the second step on the loss changes by little at each."""
    make, batch, silent, shapes = CASES[case]
    torch.manual_seed(0)
    model = make().double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 if name.endswith("bias") else -0.1)
    wanted = torch.randint(0, 5, (len(batch),))
    net = scfx.compress(model, batch[:2], dynamic=False)
    optimizer = torch.optim.Adam(net.param_groups(lr=3e-3))
    net.prune_every = 5
    with torch.no_grad():
        for name, channels in silent.items():
            net.get_parameter(f"{name}.weight_quantizer.bits")[list(channels)] = 0
    losses = []
    for step in range(110):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(batch), wanted)
        loss.backward()
        optimizer.step()
        net.update(optimizer)
        if step == 0:
            report = net.prune(optimizer)
            assert report.blocked
            assert all(f"  {name}: " in str(report) for name in report.blockers)
        losses.append(float(loss.detach()))
    for name, shape in shapes.items():
        assert tuple(net.get_parameter(name).shape) == shape, name
    assert max(b - a for a, b in pairwise(losses)) < 0.03
    assert losses[-1] < losses[0]
