"""The demo at toy size: what it writes, what it says and what it refuses. Its real size takes minutes."""

import importlib.util
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import safetensors
import torch
from rich.console import Console
from torch import Tensor, nn

import scfx
from scfx.demo import DemoError, Outcome, Settings, run
from scfx.demo.data import load, moved
from scfx.demo.learning import Epoch, schedule
from scfx.demo.measuring import Layer, Size, accuracy, size_of
from scfx.demo.network import DigitsNet
from scfx.demo.progress import progress_on
from scfx.demo.settings import check_packages, prepare_folder

SETTINGS = Settings(epochs=6, width=2, batch_size=64, gamma=8.0, threads=1)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, str, Path]:
    """One run that writes to a folder which isn't there yet, and all that it prints to what is no terminal."""
    out = tmp_path_factory.mktemp("demo") / "new" / "folder"
    console = Console(file=io.StringIO(), width=100)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    outcome = run(replace(SETTINGS, out=out), console)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert isinstance(console.file, io.StringIO)
    return outcome, console.file.getvalue(), out


def test_the_network_compresses_itself(ran: tuple[Outcome, str, Path]) -> None:
    outcome, _, _ = ran
    dense, small = outcome.dense_size, outcome.compressed_size
    assert small.weights < dense.weights
    assert small.weight_bits < 0.25 * dense.weight_bits
    assert small.weight_bits < small.all_bits < dense.all_bits
    assert (
        [epoch.number for epoch in outcome.dense] == [epoch.number for epoch in outcome.compressed] == list(range(1, 7))
    )
    assert all(epoch.size == dense for epoch in outcome.dense)
    assert outcome.dense[-1].accuracy == outcome.dense_accuracy


def test_the_finalized_network_reads_as_the_compressed_one_did(ran: tuple[Outcome, str, Path]) -> None:
    outcome, _, _ = ran
    # The last prune and finalize() change no output beyond rounding: at most one digit may tip.
    assert abs(outcome.compressed[-1].accuracy - outcome.compressed_accuracy) <= 100 / outcome.held_out + 1e-9


def test_pictures_are_written(ran: tuple[Outcome, str, Path]) -> None:
    outcome, _, out = ran
    assert sorted(outcome.files) == sorted(out.iterdir())
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    for name in ("graph-before.svg", "graph-after.svg"):
        assert ElementTree.parse(out / name).getroot().tag.endswith("svg")
    assert (out / "graph-before.svg").read_text() != (out / "graph-after.svg").read_text()


def test_weights_are_written_with_their_bits(ran: tuple[Outcome, str, Path]) -> None:
    outcome, _, out = ran
    with safetensors.safe_open(out / "compressed.safetensors", framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    depths = json.loads(metadata["bits_per_channel"])
    assert set(depths) == {name for name, tensor in tensors.items() if tensor.dim() > 1}
    bits = 0
    for name, channels in depths.items():
        assert len(channels) == len(tensors[name])
        for depth, channel in zip(channels, tensors[name], strict=True):
            assert len(channel.unique()) <= 2**depth
            bits += depth * channel.numel()
    assert bits == outcome.compressed_size.weight_bits == int(metadata["weight_bits"])
    assert sum(tensors[name].numel() for name in depths) == outcome.compressed_size.weights == int(metadata["weights"])


def test_no_terminal_gets_a_few_plain_lines(ran: tuple[Outcome, str, Path]) -> None:
    _, text, _ = ran
    lines = [line for line in text.splitlines() if line.startswith(("dense:", "compressed:"))]
    assert len(lines) == 12
    assert "\x1b" not in text
    assert "dense: epoch 6/6, accuracy" in text
    assert "bits left" in lines[-1]


def test_the_table_names_everything(ran: tuple[Outcome, str, Path]) -> None:
    outcome, text, _ = ran
    for row in ("accuracy on 599 held-out digits", "weights", "bits of the weights", "per original weight"):
        assert row in text
    for row in ("ms per training step, first epoch", "ms per training step, last epoch", "ms to read 599 digits"):
        assert row in text
    assert f"{outcome.compressed_size.weight_bits:,}" in text
    assert "curves.png" in text


def test_plain_lines_stay_few_when_epochs_are_many() -> None:
    console = Console(file=io.StringIO())
    with progress_on(console, 1000, _epoch(1).size) as progress:
        progress.begin("dense")
        for number in range(1, 1001):
            progress.show(_epoch(number))
    assert isinstance(console.file, io.StringIO)
    assert len(console.file.getvalue().splitlines()) == 11


def test_a_terminal_shows_both_trainings_and_the_layers() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24, _environ={"TERM": "xterm"})
    with progress_on(console, 2, _epoch(1).size) as progress:
        progress.begin("dense")
        progress.show(_epoch(1))
        progress.begin("compressed")
        progress.show(_epoch(1, Layer("stem", 8, 8, 8.0)))
        progress.show(_epoch(2, Layer("stem", 5, 4, 2.5)))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for shown in ("dense", "compressed", "1/2", "2/2", "98.0 %", "stem", "4/8", "2.5", "not removed yet"):
        assert shown in text


def _epoch(number: int, *layers: Layer) -> Epoch:
    return Epoch(number, accuracy=98.0, size=Size(100, 3200, 3300), layers=layers, step_ms=12.5, seconds=1.0)


def test_size_of_a_dense_network_counts_floats() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    assert size_of(model) == Size(108, 32 * 108, 32 * (108 + 4 + 16))


def test_size_of_a_compressed_network_counts_what_its_numbers_need() -> None:
    net = scfx.compress(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()), torch.randn(2, 3, 5, 5))
    ((_, quantizer),) = net.quantizers()
    with torch.no_grad():
        quantizer.bits.copy_(torch.tensor([0.0, 0.01, 2.0, 7.5]))
    bits = 27 * (0 + 1 + 2 + 8)
    assert size_of(net) == Size(108, bits, bits + 4 * (32 + 5) + 4 * 32)


class _Tied(nn.Module):
    """Rows looked up and multiplied by, and some whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.back = nn.Embedding(7, 3), nn.Linear(3, 7, bias=False)
        self.back.weight = self.rows.weight
        self.register_buffer("places", torch.arange(8).view(2, 4))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.back(self.rows(x))
        return logits


def test_size_of_what_has_several_names_counts_once_and_whole_numbers_never() -> None:
    assert size_of(_Tied()) == Size(21, 32 * 21, 32 * 21)
    net = scfx.compress(_Tied(), torch.zeros(2, 5, dtype=torch.long))
    ((_, quantizer),) = net.quantizers()
    bits = int(quantizer.storage_bits().sum()) * (21 // len(quantizer.bits))
    assert size_of(net).weight_bits == size_of(net.finalize()).weight_bits == bits < 9 * 21


def test_accuracy_leaves_the_mode_alone() -> None:
    model = torch.nn.Sequential(torch.nn.Dropout(1.0), torch.nn.Flatten())
    images = torch.eye(3)
    assert accuracy(model, images, torch.tensor([0, 1, 1])) == pytest.approx(200 / 3)
    assert model.training


def test_the_schedule_holds_and_falls_to_zero() -> None:
    assert schedule(0) == schedule(0.49) == 1
    assert schedule(0.75) == pytest.approx(0.5)
    assert schedule(1) == pytest.approx(0)


def test_a_third_is_held_out_and_nothing_is_in_both() -> None:
    digits = load(seed=3)
    assert (len(digits.labels), len(digits.held_out_labels)) == (1198, 599)
    assert digits.images.shape[1:] == (1, 8, 8)
    assert 0 <= float(digits.images.min()) < float(digits.images.max()) <= 1
    assert not torch.equal(digits.images, load(seed=4).images)
    seen = {image.numpy().tobytes() for image in digits.images}
    assert not any(image.numpy().tobytes() in seen for image in digits.held_out_images)


def test_moved_digits_differ_a_little() -> None:
    images = load(seed=0).images[:32]
    other = moved(images, torch.Generator().manual_seed(0))
    assert other.shape == images.shape
    assert not torch.equal(other, images)
    assert torch.equal(other, moved(images, torch.Generator().manual_seed(0)))
    assert float((other - images).abs().mean()) < 0.3


def test_the_network_has_what_was_promised() -> None:
    graph = scfx.channel_graph(DigitsNet(2), torch.randn(2, 1, 8, 8))
    free = {(member.name, member.dim) for axis in graph.axes if axis.pinned is None for member in axis.members}
    convolutions = [name for name, tensor in DigitsNet(2).named_parameters() if tensor.dim() == 4]
    assert free >= {(name, dim) for name in convolutions for dim in (0, 1)} - {("stem.0.weight", 1)}
    kinds = {type(module.shortcut).__name__ for module in DigitsNet(2).modules() if hasattr(module, "shortcut")}
    assert kinds == {"Identity", "Sequential"}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("epochs", 0, "--epochs must be 1 or more, not 0"),
        ("width", 0, "--width must be 1 or more"),
        ("batch_size", 1, "--batch-size must be 2 or more"),
        ("gamma", -1.0, "--gamma must be 0 or more"),
        ("gamma", math.nan, "--gamma must be 0 or more"),
        ("gamma", math.inf, "--gamma must be finite"),
        ("threads", 0, "--threads must be 1 or more"),
        ("seed", -1, "--seed must be 0 or more"),
        ("seed", 2**32, "--seed must be below"),
    ],
)
def test_options_out_of_range_are_refused(option: str, value: Any, message: str) -> None:
    with pytest.raises(DemoError, match=message):
        Settings(**{option: value})


def test_too_large_a_batch_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="--batch-size must be at most 1198"):
        run(Settings(tmp_path, batch_size=1199), Console(file=io.StringIO()))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DemoError, match="choose another with --out"):
            prepare_folder(folder)


def test_missing_packages_are_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "sklearn" else object())
    with pytest.raises(DemoError, match=r"needs scikit-learn: pip install 'scfx\[demo\]'"):
        check_packages()
