"""Arriving at a size: within 5 % whatever the network, the size, the optimizer and its learning rate."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import scfx


class Reader(nn.Module):
    """A small transformer that reads the rows of an image, one layer post-norm and one pre-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 16)
        self.post = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)
        self.pre = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True, norm_first=True)
        self.last = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.pre(self.post(self.first(x[:, 0]))).mean(1))
        return result


def dense() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10))


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))


class Loop:
    """Everything of a training on digits that a checkpoint holds, with Adam or with SGD."""

    def __init__(self, make: Callable[[], nn.Module], sgd: bool = False, rate: float = 0.5, eps: float = 1e-3) -> None:
        torch.manual_seed(0)
        digits = load_digits()
        self.images = torch.tensor(digits.images / 16 - 0.5, dtype=torch.float32)[:, None]
        self.labels = torch.tensor(digits.target)
        self.net = scfx.compress(make(), self.images[:2], dynamic=False)
        self.optimizer: torch.optim.Optimizer
        if sgd:
            groups = [
                {key: value for key, value in group.items() if key != "eps"}
                for group in self.net.param_groups(0.05, quantizer_lr=rate)
            ]
            self.optimizer = torch.optim.SGD(groups, momentum=0.9)
        else:
            self.optimizer = torch.optim.Adam(self.net.param_groups(3e-3, quantizer_lr=rate, quantizer_eps=eps))
        self.done = 0

    def run(self, target: scfx.SizeTarget, steps: int, parts: int = 1) -> None:
        for step in range(self.done, self.done + steps):
            generator = torch.Generator().manual_seed(step)
            self.optimizer.zero_grad()
            for _ in range(parts):
                chosen = torch.randint(0, len(self.labels), (32,), generator=generator)
                loss = nn.functional.cross_entropy(self.net(self.images[chosen]), self.labels[chosen])
                ((loss + target(self.net)) / parts).backward()
            self.optimizer.step()
            self.net.update(self.optimizer)
        self.done += steps


@pytest.mark.parametrize(
    ("make", "bits", "steps", "options"),
    [
        (dense, 0.03, 120, {}),
        (dense, 0.01, 160, {}),
        (dense, 0.05, 120, {"rate": 0.1}),
        (dense, 0.05, 120, {"rate": 2.0}),
        (dense, 0.05, 120, {"sgd": True, "rate": 2.0}),
        (Reader, 0.12, 70, {}),
        (convolutional, 0.15, 60, {}),
    ],
)
def test_the_asked_size_is_reached(
    make: Callable[[], nn.Module], bits: float, steps: int, options: dict[str, float]
) -> None:
    loop = Loop(make, **options)  # type: ignore[arg-type]
    target = scfx.SizeTarget(bits=bits, steps=steps)
    loop.run(target, steps)
    assert loop.net.size().item() == pytest.approx(32 * bits, rel=0.05)
    assert f"{bits:g} at the end" in str(target)


def test_bit_operations_are_reached_too() -> None:
    loop = Loop(convolutional)
    loop.run(scfx.SizeTarget(bit_ops=0.1, steps=100), 100)
    assert loop.net.cost("bit_ops").item() == pytest.approx(32 * 0.1, rel=0.05)


def test_a_resumed_run_is_the_same_and_parts_of_a_batch_are_no_steps(tmp_path: Path) -> None:
    straight, target = Loop(dense), scfx.SizeTarget(bits=0.1, steps=60)
    straight.run(target, 20, parts=2)
    term = target(straight.net)  # a call more within the step, as when a checkpoint is written in the middle of it
    scfx.save_checkpoint(tmp_path / "run", straight.net, straight.optimizer, target=target)
    straight.run(target, 10, parts=2)
    other, again = Loop(dense), scfx.SizeTarget(bits=0.1, steps=60)
    assert scfx.load_checkpoint(tmp_path / "run", other.net, other.optimizer, target=again) == {}
    assert torch.equal(again(other.net), term)
    other.done = 20
    other.run(again, 10, parts=2)
    assert again.gamma == target.gamma != 1e-3
    for name, value in other.net.state_dict().items():
        assert torch.equal(value, straight.net.state_dict()[name]), name
    assert again.state_dict() == target.state_dict()


def test_the_warm_up_is_no_part_of_the_way() -> None:
    loop, target = Loop(dense), scfx.SizeTarget(bits=0.1, steps=100)
    loop.net.guards = scfx.Guards(warm_up=20)
    loop.run(target, 20)
    assert loop.net.size().item() == 8.0
    assert target.gamma < 4e-3  # the size of the start is wanted, so it hardly grows
    loop.run(target, 80)
    assert loop.net.size().item() == pytest.approx(3.2, rel=0.05)


def test_a_size_that_is_out_of_reach_is_said() -> None:
    loop, target = Loop(dense, rate=0.01), scfx.SizeTarget(bits=0.02, steps=20)
    assert str(target) == "SizeTarget(bits=0.02, steps=20)"
    with pytest.warns(UserWarning, match=r"ends at 0\.2\d* of the original bits\. .* larger quantizer_lr"):
        loop.run(target, 20)


def test_errors_say_what_to_ask_for() -> None:
    for sizes in ({}, {"bits": 0.1, "bit_ops": 0.1}):
        with pytest.raises(scfx.InputError, match="one size"):
            scfx.SizeTarget(steps=100, **sizes)
    for share in (0.0, 1.0, -0.1, float("nan"), 3.0):
        with pytest.raises(scfx.InputError, match="between 0 and 1"):
            scfx.SizeTarget(bits=share, steps=100)
    with pytest.raises(scfx.InputError, match="10 or more, not 0"):
        scfx.SizeTarget(bits=0.1)
    net = scfx.compress(nn.Linear(4, 3), torch.randn(2, 4), dynamic=False)
    with pytest.raises(scfx.InputError, match=r"starts with 8: ask for a share below 0\.25"):
        scfx.SizeTarget(bits=0.5, steps=100)(net)
    with pytest.raises(scfx.InputError, match="the compressed module itself, not a DataParallel"):
        scfx.SizeTarget(bits=0.1, steps=100)(nn.DataParallel(net))  # type: ignore[arg-type]
    plain = scfx.compress(nn.Linear(4, 3), torch.randn(2, 4), quantize=False, dynamic=False)
    with pytest.raises(scfx.InputError, match="no quantizers"):
        scfx.SizeTarget(bits=0.1, steps=100)(plain)
    net.guards = scfx.Guards(warm_up=80)
    with pytest.raises(scfx.InputError, match="a warm-up of 80 more updates"):
        scfx.SizeTarget(bits=0.1, steps=100)(net)


def test_the_state_of_something_else_is_refused() -> None:
    target = scfx.SizeTarget(bits=0.1, steps=100)
    with pytest.raises(scfx.CheckpointError, match="not the state of a SizeTarget"):
        target.load_state_dict({"steps": 100})
    with pytest.raises(scfx.CheckpointError, match="not the state of a SizeTarget"):
        target.load_state_dict(None)
    with pytest.raises(scfx.CheckpointError, match=r"bits=0\.2, steps=100\), this is SizeTarget\(bits=0\.1"):
        target.load_state_dict(scfx.SizeTarget(bits=0.2, steps=100).state_dict())
