"""A training run in one file: network, optimizers, whatever else has a state, and random numbers. No pickle.

The file is one of safetensors: every tensor under a name that says whose it is (`net.`, `optimizers.0.`, `extra.`),
and, as JSON in the metadata, how they belong together, with a format version and a checksum over everything.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor

from scfx.errors import InputError
from scfx.module import CompressedModule
from scfx.saving.container import DAMAGE, Container
from scfx.saving.packing import pack, unpack
from scfx.saving.restoring import parameter_names, random_state, restore_all, state_of
from scfx.surgery.optimizers import Optimizers, each_optimizer
from scfx.surgery.valued import refuse_valueless

_FILES = Container("scfx.checkpoint", "1", "checkpoint of scfx", "take an older one")


def save_checkpoint(path: str | os.PathLike[str], net: CompressedModule, optimizer: Optimizers, **extra: Any) -> None:
    """Writes a training run to a file, so that `load_checkpoint` can go on with it bit for bit.

    The file appears at once and whole, or not at all: it is written under another name beside it, brought to disk, and
    renamed. A run that is killed while it writes may leave a hidden file beside it. Of several processes that train
    together one writes, and each of them reads.

    Args:
        path: The file; it is replaced if it exists.
        net: The compressed module.
        optimizer: One, or all of them if several share the parameters.
        extra: What else belongs to the run, by names of your choice: whatever has a `state_dict` (schedulers,
            averaged models, `scfx.SizeTarget`, a `GradScaler`), a `torch.Generator`, or plain values such as the epoch.
            State and values may be numbers, strings, booleans, None, tensors, and lists, tuples and dicts of them.

    Raises:
        CheckpointError: Something can't be held by such a file. Nothing was written.
        InputError: `net` is no compressed module.
        ModelError: Its parameters are on the meta device.
    """
    _check_net(net)
    refuse_valueless(dict(net.named_parameters()))
    optimizers = each_optimizer(optimizer)
    state = {
        "net": net.state_dict(),
        "optimizers": [
            {"kind": type(each).__name__, "names": parameter_names(net, each), "state": each.state_dict()}
            for each in optimizers
        ],
        "extra": {name: state_of(value) for name, value in extra.items()},
        "random": random_state(),
    }
    found: dict[str, Tensor] = {}
    text = json.dumps({name: pack(value, found, name) for name, value in state.items()})
    tensors = {name: _separate(tensor) for name, tensor in found.items()}
    _FILES.write(path, tensors, text)


def load_checkpoint(
    path: str | os.PathLike[str], net: CompressedModule, optimizer: Optimizers, **extra: Any
) -> dict[str, Any]:
    """Goes on with a run that `save_checkpoint` has written.

    Everything is checked before anything changes: the file's checksum, and that names, shapes, optimizers and their
    parameter groups are those of this run. The random number generators of torch (CPU and GPUs), numpy and Python are
    set, too.

    Args:
        path: The file.
        net: A fresh `scfx.compress` of the same model, or one that has at least the channels that were left.
        optimizer: Made as it was for the run, in the same order if there are several.
        extra: What else has a state, made as it was for the run, under the names it was saved with.

    Returns:
        The other extra values that were saved, by name: plain ones, and the states of objects that were not given.

    Raises:
        CheckpointError: The file is damaged or of another format, or belongs to another model or run. Nothing has
            changed then.
        FileNotFoundError: There is no such file.
        InputError: `net` is no compressed module, or something given has no state.
    """
    _check_net(net)
    content = _read(Path(path))
    return restore_all(content, net, each_optimizer(optimizer), extra)


def _read(path: Path) -> dict[str, Any]:
    """What a file holds, checked and in CPU memory."""
    tensors, text = _FILES.read(path)
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("no state in it")
        return {name: unpack(value, tensors) for name, value in content.items()}
    except DAMAGE as error:
        raise _FILES.damaged(path, error) from error


def _check_net(net: object) -> None:
    if not isinstance(net, CompressedModule):
        raise InputError(
            f"expected what scfx.compress returned, got {type(net).__module__}.{type(net).__qualname__}: of a wrapper, "
            "such as those of DistributedDataParallel and torch.compile, give the module inside"
        )


def _separate(tensor: Tensor) -> Tensor:
    """On the CPU, in row-major order, with memory of its own."""
    return tensor.detach().to("cpu", copy=True).contiguous()
