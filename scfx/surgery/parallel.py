"""What running in several processes may have done to a module so that it can't lose channels as it is."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from scfx.errors import InputError, ModelError


def refuse_sharded(parameters: Mapping[str, nn.Parameter]) -> None:
    """Checks that every parameter (by name) is a plain tensor, held whole by this process.

    Raises:
        ModelError: One is split over processes, as `fully_shard` splits them, or of another class of tensors that
            can't be sliced.
    """
    for name, parameter in parameters.items():
        kind = type(parameter.data)
        if kind is Tensor:
            continue
        tensors = sys.modules.get("torch.distributed.tensor")  # nothing is sharded where this was never imported
        if tensors is not None and isinstance(parameter.data, tensors.DTensor):
            raise ModelError(
                f"{name} is split over several processes (a DTensor, as torch's fully_shard and tensor parallelism "
                "make them), and whether a channel can go is seen in whole tensors only. Compress first, in one "
                "process or with DistributedDataParallel and scfx.distributed.update; then shard what "
                "net.finalize() gives"
            )
        raise ModelError(
            f"{name} is a {kind.__module__}.{kind.__qualname__}, and only plain tensors can be sliced: "
            "undo what made it one, compress, and do it again to what net.finalize() gives"
        )


def refuse_wrapped(module: nn.Module) -> None:
    """Checks that no DistributedDataParallel averages the gradients of this module.

    It would go on with the old sizes, and for one step no gradient of what was sliced would be averaged, without a
    word. A module doesn't know what holds it, so all objects are gone through, which takes about as long as a step;
    only where there are several processes, and something is to be removed.

    Raises:
        InputError: One does.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return
    for each in gc.get_objects():
        if issubclass(type(each), DistributedDataParallel) and any(inner is module for inner in each.modules()):
            raise InputError(
                "the network is inside a DistributedDataParallel, which has to follow when channels go: call "
                "scfx.distributed.update(wrapper, optimizer) instead of net.update(optimizer), and "
                "scfx.distributed.prune(wrapper, optimizer) instead of net.prune(optimizer). Nothing was removed"
            )
