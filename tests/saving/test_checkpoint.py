"""One file holds a run: it continues bit for bit, and whatever is wrong with it is found before anything changes."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel

import scfx
from scfx.saving.packing import digest, pack, unpack
from tests.lossless_networks import fresh
from tests.training_run import Run, assert_same


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """A checkpoint half way, what the run was then, and what it was in the end."""
    path = tmp_path_factory.mktemp("run") / "half way.safetensors"
    run = Run()
    torch.manual_seed(1)
    run.train(range(21))
    run.save(path, epoch=3, best=(0.1, None, "accuracy"), curve=[torch.ones(2), {4: True}])
    middle = run.everything()
    run.train(range(21, 30))
    return path, middle, run.everything()


def test_a_run_goes_on_bit_for_bit(saved: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    path, middle, end = saved
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    run = Run()
    torch.manual_seed(2)
    random.seed(5)
    np.random.seed(6)
    values = run.load(path)
    assert_same(values, {"epoch": 3, "best": (0.1, None, "accuracy"), "curve": [torch.ones(2), {4: True}]})
    assert_same(run.everything(), middle)
    assert any("kept" in name for name in middle["net"])
    run.train(range(21, 30))
    assert_same(run.everything(), end)


def test_saving_again_replaces_the_file_and_a_failure_leaves_it(tmp_path: Path) -> None:
    path, run = tmp_path / "run", Run()
    run.save(path)
    run.train(range(2))
    run.save(path)
    content = path.read_bytes()
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "plain").unlink()
    for value, words in ((object(), r"extra.epoch.state is a builtins.object"), (torch.eye(2).to_sparse(), "sparse")):
        with pytest.raises(scfx.CheckpointError, match=words):
            run.save(path, epoch=value)
    with pytest.raises(ValueError, match="mode"):
        run.save(path, epoch={"mode": Unsaveable()})
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["run"]
    net = copy.deepcopy(run.net)
    with pytest.raises(FileNotFoundError):
        scfx.load_checkpoint(tmp_path / "none", net, run.optimizers)


def test_what_is_no_network_or_no_folder_is_named(tmp_path: Path) -> None:
    run = Run()
    wrapped: Any = nn.Sequential(run.net)
    for call in (scfx.save_checkpoint, scfx.load_checkpoint):
        with pytest.raises(scfx.InputError, match=r"got torch.nn.modules.container.Sequential: .* the module inside"):
            call(tmp_path / "run", wrapped, run.optimizers)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run.save(tmp_path / "nowhere" / "run")


class Unsaveable(dict[str, int]):
    def items(self) -> Any:
        raise ValueError("mode")


def other_parameters(run: Run) -> None:
    for optimizer in run.optimizers:
        optimizer.param_groups[0]["params"].reverse()


def other_optimizers(run: Run) -> None:
    run.optimizers.reverse()


def another_scheduler(run: Run) -> None:
    run.extra["cycle"] = run.steps


def one_more(run: Run) -> None:
    run.extra["teacher"] = nn.Linear(2, 2)


def another_average(run: Run) -> None:
    run.extra["average"] = AveragedModel(fresh("pre-norm"))


def another_type(run: Run) -> None:
    run.net.get_parameter("norm1.weight").data = run.net.get_parameter("norm1.weight").data.float()


def a_plain_value(run: Run) -> None:
    run.extra["order"] = 5


def a_scheduler_that_refuses(run: Run) -> None:
    class MultiStepLR(lr_scheduler.MultiStepLR):
        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            super().load_state_dict(state_dict)
            if state_dict["last_epoch"]:
                raise ValueError("too late")

    run.extra["steps"] = MultiStepLR(run.optimizers[1], [3, 7])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_parameters, "hold other parameters in the checkpoint than here"),
        (other_optimizers, "is of the optimizers"),
        (another_scheduler, "cycle is a OneCycleLR in the checkpoint and a MultiStepLR here"),
        (one_more, "nothing named teacher"),
        (another_average, "state dict is not one of this module"),
        (another_type, "norm1.weight of the network is torch.float64 in the checkpoint and torch.float32 here"),
        (a_plain_value, "order is a int, which has no state"),
        (a_scheduler_that_refuses, "does not take what was saved: too late. Nothing was changed"),
        (None, "state dict is not one of this module"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_untouched(
    saved: tuple[Path, dict[str, Any], dict[str, Any]], change: Callable[[Run], None] | None, words: str
) -> None:
    run = Run() if change else Run("pre-norm")
    if change:
        change(run)
    parts = [run.net, *run.optimizers, *(each for each in run.extra.values() if hasattr(each, "state_dict"))]
    before = copy.deepcopy([part.state_dict() for part in parts]), torch.get_rng_state()
    with pytest.raises((scfx.CheckpointError, scfx.InputError), match=words):
        run.load(saved[0])
    assert_same(([part.state_dict() for part in parts], torch.get_rng_state()), before)


def test_every_flipped_bit_and_every_lost_byte_is_found(
    saved: tuple[Path, dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    """A flip where nothing is written (spaces behind the header) may also leave everything as it was."""
    content, path = saved[0].read_bytes(), tmp_path / "damaged"
    generator = random.Random(0)
    places = [*range(8), *generator.sample(range(len(content)), 60)]
    header = int.from_bytes(content[:8], "little")
    places += generator.sample(range(8, 8 + header), 40)
    run = Run()
    before = run.everything()
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(scfx.CheckpointError):
            run.load(path)
    for length in (0, 7, 8, 100, 8 + header, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(scfx.CheckpointError):
            run.load(path)
    assert_same(run.everything(), before)


def forged(text: str, version: str = "1", **tensors: Tensor) -> bytes:
    metadata = {"format": "scfx.checkpoint", "version": version, "content": text, "checksum": digest(tensors, text)}
    return safetensors.torch.save(tensors, metadata)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (safetensors.torch.save({"a": torch.ones(2)}), "is no checkpoint of scfx"),
        (forged("{}", version="2"), "has version '2'"),
        (forged("{}"), "has not the parts"),
        (forged("[]"), "no state in it"),
        (forged("[" * 100_000), "is damaged"),
        (forged('{"net": {"tensor": "nothing"}}'), "nothing that a checkpoint can hold"),
        (forged('{"net": {"code": "import os"}}'), "nothing that a checkpoint can hold"),
        (forged('{"net": {"dict": [[[], 1]]}}'), "nothing that a checkpoint can hold"),
        (
            forged('{"net": {"dict": [["a", 5]]}, "optimizers": 5, "extra": {"dict": []}, "random": {"dict": []}}'),
            "what was saved for the network is not the state of a module",
        ),
    ],
)
def test_hostile_files_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    path, run = tmp_path / "hostile", Run()
    path.write_bytes(content)
    with pytest.raises(scfx.CheckpointError, match=words):
        run.load(path)


def test_values_come_back_as_they_were() -> None:
    value: dict[Any, Any] = {
        "numbers": [1, -0.0, 1e-300, float("inf"), 0.1, 10**30, True, None],
        7: (1, (2,), []),
        "counter": Counter({3: 1}),
        "tensors": {"a": torch.arange(3), "b.c": torch.ones(()), "b": {"c": torch.zeros(0, 2, dtype=torch.bfloat16)}},
    }
    tensors: dict[str, Tensor] = {}
    assert_same(unpack(pack(value, tensors, "value"), tensors), value)
    assert len(tensors) == 3
