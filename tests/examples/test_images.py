"""Reading CIFAR-10 from both forms, and augmentation in bulk."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor

from examples import augmentation, images
from examples.autoaugment import RANGES, SIGNED, autoaugmented, operation
from examples.cifar10 import light, strong

COLOURS = torch.tensor([[250, 10, 10], [10, 250, 10], [10, 10, 250]], dtype=torch.uint8)


def seeded() -> Generator:
    return Generator().manual_seed(0)


def plain(count: int) -> Tensor:
    """Images of one colour each."""
    return COLOURS[torch.arange(count) % 3].view(count, 3, 1, 1).repeat(1, 1, 32, 32)


def write_jpegs(folder: Path, part: str, count: int) -> None:
    files = []
    for image in plain(count):
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "jpeg")
        files.append(file.getvalue())
    offsets = np.cumsum([0] + [len(file) for file in files])
    labels = np.arange(count, dtype=np.uint8)
    data = np.frombuffer(b"".join(files), dtype=np.uint8)
    np.savez(folder / f"cifar10-jpeg-{part}.npz", jpeg=data, offsets=offsets, labels=labels)


def test_jpegs_are_decoded_in_order(tmp_path: Path) -> None:
    write_jpegs(tmp_path, "train", 6)
    write_jpegs(tmp_path, "test", 4)
    data = images.load(tmp_path, train=5)
    assert data.train.shape == (5, 3, 32, 32)
    assert data.train.dtype == torch.uint8
    assert data.labels.tolist() == [0, 1, 2, 3, 4]
    assert data.test_labels.tolist() == [0, 1, 2, 3]
    assert (data.train.int() - plain(5).int()).abs().max() <= 4
    assert data.source == "CIFAR-10 (JPEG)"


def test_torchvisions_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for number, name in enumerate(["data_batch_1", "test_batch"]):
        entry = {"data": plain(3 + number).flatten(1).numpy(), "labels": list(range(3 + number))}
        (folder / name).write_bytes(pickle.dumps(entry))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["a"]}))
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": None})
    data = images.load(tmp_path, test=2)
    assert torch.equal(data.train, plain(3))
    assert data.labels.tolist() == [0, 1, 2]
    assert data.test_labels.tolist() == [0, 1]


def test_crops_are_windows_of_their_images() -> None:
    whole = torch.arange(4 * 3 * 10 * 10).view(4, 3, 10, 10)
    cut = augmentation.cropped(whole, 6, seeded())
    assert cut.is_contiguous(memory_format=torch.channels_last)
    places = set()
    for source, window in zip(whole, cut, strict=True):
        top, left = divmod(int(window[0, 0, 0] - source[0, 0, 0]), 10)
        assert torch.equal(window, source[:, top : top + 6, left : left + 6])
        places.add((top, left))
    assert len(places) > 1, "each image has a window of its own"


def test_half_of_the_images_are_flipped() -> None:
    whole = torch.arange(400 * 2).view(400, 1, 1, 2)
    flips = (augmentation.flipped(whole, seeded()) != whole).all(3).flatten()
    assert 150 < flips.sum() < 250
    assert torch.equal(augmentation.flipped(whole, seeded())[flips], whole[flips].flip(3))


def test_a_rectangle_is_erased() -> None:
    whole = torch.full((500, 3, 32, 32), 9, dtype=torch.uint8)
    holes = augmentation.erased(whole, seeded()) == 0
    assert torch.equal(holes[:, 0], holes[:, 2]), "through all colours"
    area = holes[:, 0].sum((1, 2))
    assert 200 < (area > 0).sum() < 300
    for hole in holes[area > 0, 0]:
        rows, columns = hole.any(1), hole.any(0)
        assert torch.equal(hole, rows[:, None] & columns)
        assert rows.diff().sum() <= 2
        assert columns.diff().sum() <= 2
        assert 0.015 < hole.float().mean() < 0.36


def test_normalised_as_the_checkpoint_expects() -> None:
    white = augmentation.normalized(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)).flatten()
    assert torch.allclose(white, (1 - torch.tensor(images.MEAN)) / torch.tensor(images.STD))


@pytest.mark.parametrize("name", RANGES)
def test_each_operation_of_the_policy_does_something(name: str) -> None:
    data = images.made_up(4, 0).train
    strength = RANGES[name][1] * 0.5 if name in SIGNED else RANGES[name][1]
    after = operation(name, strength)(data)
    assert after.shape == data.shape
    assert after.dtype == torch.uint8
    assert not torch.equal(after, data)
    if name in SIGNED:
        assert not torch.equal(after, operation(name, -strength)(data))


def test_the_ranges_are_torchvisions() -> None:
    from torchvision.transforms import AutoAugment, AutoAugmentPolicy

    space = AutoAugment(AutoAugmentPolicy.CIFAR10)._augmentation_space(10, (1, 1))
    assert set(space) == set(RANGES)
    for name, (magnitudes, signed) in space.items():
        least, most = RANGES[name]
        assert signed == (name in SIGNED)
        if magnitudes.dim():
            rounding = 0.5 if name == "Posterize" else 1e-5
            assert torch.allclose(magnitudes.float(), torch.linspace(least, most, 10), atol=rounding)


def test_each_image_has_a_sub_policy_of_its_own() -> None:
    data = images.made_up(1, 0).train.expand(64, -1, -1, -1)
    once = autoaugmented(data, seeded())
    assert torch.equal(once, autoaugmented(data, seeded())), "drawn from the generator alone"
    assert len({image.numpy().tobytes() for image in once}) > 20
    assert torch.equal(data, images.made_up(1, 0).train.expand(64, -1, -1, -1)), "the images are left alone"


@pytest.mark.parametrize("augment", [light, strong])
def test_recipes_give_what_networks_read(augment: object) -> None:
    assert callable(augment)
    result = augment(images.made_up(8, 0).train, seeded())
    assert result.shape == (8, 3, 32, 32)
    assert result.dtype == torch.float32
