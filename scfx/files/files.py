"""`scfx.save` and `scfx.load`: a compressed network as one file, which needs neither its class nor pickle.

docs/files.md has the format.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from torch import fx

from scfx.errors import CheckpointError, InputError
from scfx.files import limits
from scfx.files.network import from_text, to_text
from scfx.module import CompressedModule
from scfx.saving.container import DAMAGE, Container

_FILES = Container("scfx.network", "1", "network saved by scfx", "get it again", limits.HEADER)

#: What Python and torch raise when they are given what no network is.
_WRONG = (*DAMAGE, LookupError, AttributeError, ArithmeticError, AssertionError, SyntaxError, RuntimeError)


def save(net: CompressedModule | fx.GraphModule, path: str | os.PathLike[str]) -> None:
    """Writes a network to a file, as small as it has become: each channel's whole numbers in their own number of bits.

    The file holds the weights and, as readable JSON, the graph of `net.finalize()`. It appears at once and whole, or
    not at all.

    Args:
        net: What `scfx.compress` returned, or what its `finalize()` did.
        path: The file; it is replaced if it exists.

    Raises:
        InputError: `net` is neither of the two.
        CheckpointError: Something in it can't be held by such a file. Nothing was written.
    """
    given = finished(net)
    try:
        text, tensors = to_text(given)
        if len(json.dumps(text)) + 1000 * len(tensors) > limits.HEADER:
            raise CheckpointError(f"its graph has {len(text):,} letters, and a file has no more than {limits.HEADER:,}")
        from_text(text, dict(tensors), sum(tensor.nbytes for tensor in tensors.values()), torch.device("cpu"))
        _FILES.write(path, tensors, text)
    except OSError:
        raise
    except _WRONG as error:
        raise CheckpointError(f"this network can't be saved: {error}. Nothing was written") from error


def finished(net: object) -> fx.GraphModule:
    """What `net.finalize()` returns, of a compressed module or of that itself.

    Raises:
        InputError: It is neither of the two.
    """
    given = net.finalize() if isinstance(net, CompressedModule) else net
    if not isinstance(given, fx.GraphModule) or not {"bits", "scales"} <= given.meta.keys():
        raise InputError(
            "expected what scfx.compress or net.finalize() returned, got "
            f"{type(net).__module__}.{type(net).__qualname__}: of a wrapper, such as those of DistributedDataParallel "
            "and torch.compile, give the module inside"
        )
    return given


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> fx.GraphModule:
    """Reads a network that `scfx.save` has written. Neither its class nor anything else of its code is needed.

    It computes what the network did that was saved, bit for bit where torch and machine are the same, for any batch
    size. What it returns in a class of its own comes as a dict with the same fields: `out.logits`, `out["logits"]` or
    `out[0]`. The file is only data: whatever it says, loading runs nothing of it, and the network can call only
    operators that scfx has a record of.

    Args:
        path: The file.
        device: Where the network is to be.

    Returns:
        A plain GraphModule in eval mode, as `net.finalize()` returns.

    Raises:
        CheckpointError: The file is damaged, of another format or version, or asks for what a file can't.
        FileNotFoundError: There is no such file.
    """
    path = Path(path)
    tensors, text = _FILES.read(path)
    try:
        return from_text(text, tensors, path.stat().st_size, torch.device(device))
    except FileNotFoundError:
        raise
    except _WRONG as error:
        raise _FILES.damaged(path, error) from error
