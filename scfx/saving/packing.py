"""Nested Python values as JSON and tensors, and back: what checkpoints are made of. Nothing is ever executed.

Numbers, strings, booleans, None and lists are what they are in JSON; whatever JSON has not is an object with one key
that says what it is: `{"tuple": [...]}`, `{"dict": [[key, value], ...]}`, `{"counter": ...}` and `{"tensor": name}`.
Floats are written so that they come back bit for bit; infinity and NaN, which schedulers start from, are as Python
writes them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor

from scfx.errors import CheckpointError

_PLAIN = (str, bool, int, float, type(None))


def pack(value: object, tensors: MutableMapping[str, Tensor], where: str) -> Any:
    """Returns a value as JSON knows it, and adds the tensors in it to `tensors`, under names that begin with `where`.

    Raises:
        CheckpointError: It holds something that is neither a number, string, boolean, None or tensor, nor a list, tuple
            or dict of such.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.is_quantized:
            raise CheckpointError(f"{where} is a tensor that is sparse or quantized, which a checkpoint can't hold")
        while where in tensors:
            where += "#"
        tensors[where] = value
        return {"tensor": where}
    if isinstance(value, (dict, OrderedDict, Counter)):
        items = [[pack(k, tensors, f"{where}.key"), pack(v, tensors, f"{where}.{k}")] for k, v in value.items()]
        return {"counter" if isinstance(value, Counter) else "dict": items}
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple, torch.Size):
        items = [pack(each, tensors, f"{where}.{number}") for number, each in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    raise CheckpointError(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which a checkpoint can't hold: it takes "
        "numbers, strings, booleans, None, tensors, and lists, tuples and dicts of them"
    )


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The opposite of `pack`.

    Raises:
        CheckpointError: It is not what `pack` makes, or names a tensor that isn't there.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list):
        return [unpack(each, tensors) for each in value]
    kind, content = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else (None, None)
    if kind == "tensor" and isinstance(content, str) and content in tensors:
        return tensors[content]
    if kind == "tuple" and isinstance(content, list):
        return tuple(unpack(each, tensors) for each in content)
    make: dict[str | None, Callable[[Any], Any]] = {"dict": dict, "counter": Counter}
    if kind in make and isinstance(content, list) and all(isinstance(p, list) and len(p) == 2 for p in content):
        items = [(unpack(k, tensors), unpack(v, tensors)) for k, v in content]
        if all(type(k) in _PLAIN for k, _ in items):
            return make[kind](dict(items))
    raise CheckpointError(f"{json.dumps(value)[:80]} is nothing that a checkpoint can hold")


def digest(tensors: Mapping[str, Tensor], *texts: str) -> str:
    """A checksum (SHA-256, hex) over texts and the names, types, shapes and bytes of tensors."""
    result = hashlib.sha256()
    for text in texts:
        result.update(f"{len(text)} {text}".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        result.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        result.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return result.hexdigest()
