"""Scalars, in a real event file and in whatever has an add_scalar."""

from pathlib import Path

import torch

import scfx
from scfx.integrations.tensorboard import Scalars
from tests.toys import images, small


class Recorder:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int], float] = {}

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self.found[tag, global_step] = scalar_value


def test_scalars_are_written(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    net = scfx.compress(small(), images(2), dynamic=False)
    recorder = Recorder()
    with SummaryWriter(str(tmp_path)) as writer:
        for scalars in (Scalars(writer), Scalars(recorder, "other")):
            scalars.write(net, 0)
            scalars.write(net, 10)
    events = EventAccumulator(str(tmp_path)).Reload()
    tags = set(events.Tags()["scalars"])
    assert {tag.replace("other/", "compression/") for tag, _ in recorder.found} == tags
    assert {"compression/bits_per_weight", "compression/weights_left", "compression/ms_per_step"} < tags
    assert [event.value for event in events.Scalars("compression/width/6.weight")] == [10, 10]
    assert recorder.found["other/bits_per_weight", 10] == 8
    assert ("other/ms_per_step", 0) not in recorder.found
    assert recorder.found["other/ms_per_step", 10] > 0


def test_a_removal_shows() -> None:
    net = scfx.compress(small(), images(2), dynamic=False)
    recorder = Recorder()
    scalars = Scalars(recorder)
    with torch.no_grad():
        net.get_parameter("0.weight_quantizer.bits")[:4] = 0
        net.get_parameter("0.bias")[:4] = 0
        net.get_parameter("1.bias")[:4] = 0
    net.prune()
    scalars.write(net, 1)
    assert recorder.found["compression/width/0.weight", 1] == 4
    assert recorder.found["compression/channels_left", 1] < 1
