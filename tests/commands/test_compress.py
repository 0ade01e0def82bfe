"""`scfx compress`."""

import json
from pathlib import Path

import pytest
import torch

import scfx
from tests.commands.calling import call, refused

SOURCE = """
import torch
from torch import nn
from torch.nn import functional

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
x = torch.randn(24, 6, generator=generator)
pairs = [(x[:12], (x[:12, 0] > 0).long()), (x[12:], (x[12:, 0] > 0).long())]


def model():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))


def usual():
    return model(), pairs


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = model()

    def forward(self, x, scale=1.0, shift=None):
        return {"logits": self.layers(x) * scale + shift}


def own_loss():
    def batches():
        for inputs, classes in pairs:
            yield {"inputs": inputs, "classes": classes}

    def loss(net, batch):
        out = net(batch["inputs"], shift=torch.ones(2))
        return functional.cross_entropy(out["logits"], batch["classes"])

    return Named(), batches, loss


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x):
        return self.layer(x).renorm(2, 0, 1.0)


def only_model():
    return model()


def no_batches():
    return model(), []


def no_pairs():
    return model(), [x]


def many_losses():
    return model(), pairs, lambda net, batch: functional.cross_entropy(net(batch[0]), batch[1], reduction="none")


def no_loss():
    return model(), pairs, "cross-entropy"


def nothing_called():
    return model(), pairs, lambda net, batch: torch.zeros(())


def infinite():
    return model(), [(pairs[0][0] / 0, pairs[0][1])]


def later_infinite():
    return model(), [*pairs, (pairs[0][0] * float("nan"), pairs[0][1])]


def too_few():
    return model(), iter(pairs)


def broken():
    def batches():
        yield pairs[0]
        yield {}["missing"]

    return model(), batches


def stopped():
    def batches():
        yield from pairs
        raise KeyboardInterrupt

    return model(), batches


def unknown_operator():
    return Odd(), pairs


def never():
    raise AssertionError("this is too late")
"""


#: What goes wrong only after some steps.
LATE = ("later_infinite", "too_few", "broken")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def left_over(folder: Path) -> list[str]:
    """What there is beside the file with the functions."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("net.py", "__pycache__"))


def test_a_network_is_trained_to_a_size_and_written(folder: Path) -> None:
    ended = call("compress", "net.py:usual", "-o", "small.scfx", "--bits", "0.15", "--steps", "80", "--json")
    assert ended.status == 0, ended.err
    data = json.loads(ended.out)
    assert (data["file"], data["steps"]) == ("small.scfx", 80)
    assert data["bytes"] == (folder / "small.scfx").stat().st_size
    assert data["loss"] < 0.6 < data["weights_left"] <= 1
    assert data["bits_per_weight"] == pytest.approx(0.15 * 32, rel=0.05)
    assert [line.split(":")[0] for line in ended.err.splitlines()][::9] == ["step 8 of 80", "step 80 of 80"]
    assert scfx.load("small.scfx")(torch.ones(3, 6)).shape == (3, 2)
    assert left_over(folder) == ["small.scfx"]


def test_batches_and_a_loss_of_any_kind(folder: Path) -> None:
    ended = call("compress", "net.py:own_loss", "-o", "small.scfx", "--steps", "10")
    assert ended.status == 0, ended.err
    assert "bits per original weight" in ended.out
    assert "Written to small.scfx: " in ended.out
    assert "note: SizeTarget(bits=0.05, steps=10) ends at" in ended.err, "which is said, and no failure"
    small = scfx.load("small.scfx")
    assert small(torch.ones(3, 6), shift=torch.zeros(2))["logits"].shape == (3, 2)


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        (
            "only_model",
            2,
            r"only_model() returns a Sequential, but should return (model, batches) or (model, batches, l",
        ),
        ("no_batches", 2, "no_batches() returns no batches: there is nothing to train on"),
        ("no_pairs", 2, "a batch is a Tensor; without a loss batches are pairs of (inputs, classes)"),
        ("many_losses", 2, "the loss is a Tensor of shape (12,) and torch.float32, but should be one number"),
        ("no_loss", 2, "the loss that no_loss() returns is a str"),
        ("nothing_called", 2, "the loss doesn't call the network that it is given"),
        ("infinite", 1, "the loss of the model as it is, on the first batch, is nan"),
        ("later_infinite", 1, "the loss of step 3 is nan, so nothing was written"),
        ("too_few", 1, "there are 2 batches for 10 steps, and what they come from can't be gone through again"),
        ("broken", 1, "batch 2 raised KeyError: 'missing'"),
        ("unknown_operator", 1, "has no record"),
        ("nowhere", 2, "has no function called 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(folder: Path, name: str, status: int, message: str) -> None:
    ended = call("compress", f"net.py:{name}", "-o", "small.scfx", "--steps", "10")
    assert (ended.status, ended.out) == (status, "")
    *progress, error = ended.err.removesuffix("\n").split("\nscfx: ") if name in LATE else ended.err.split("scfx: ")
    assert message in error
    assert bool("".join(progress)) == (name in LATE)
    assert "Traceback" not in ended.err
    assert left_over(folder) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("net.py:never", "-o", "nowhere/small.scfx"), "can't be written: No such file or directory (nowhere)"),
        (("net.py:never", "-o", "."), "is a folder"),
        (("net.py:never", "-o", "small.scfx", "--bits", "5"), "bits is a share"),
        (("net.py:never", "-o", "small.scfx", "--steps", "3"), "10 or more, not 3"),
        (("torchvision:resnet18", "-o", "small.scfx"), "is no function of a file"),
    ],
)
def test_what_can_be_known_before_is_said_before(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("compress", *arguments, status=2)
    assert left_over(folder) == []


def test_stopping_it_leaves_nothing(folder: Path) -> None:
    ended = call("compress", "net.py:stopped", "-o", "small.scfx", "--steps", "10")
    assert ended.status == 130
    assert ended.out == ""
    assert left_over(folder) == []
