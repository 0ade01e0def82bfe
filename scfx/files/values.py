"""Arguments of operators as JSON, and back.

`"%name"` is the value that the node of this name makes; numbers, booleans, null and lists are what they are. Whatever
else there is comes as an object with one key: `{"text": "none"}`, `{"float": "-inf"}`, `{"complex": [0.0, 1.0]}`,
`{"tuple": [...]}`, `{"dict": [[key, value], ...]}`, `{"dtype": "float32"}`, `{"layout": "strided"}`,
`{"memory_format": "channels_last"}`, and `{"device": "here"}`, which is where the network is loaded to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx

from scfx.errors import CheckpointError
from scfx.files.limits import DEPTH, LETTERS

_NAMED: dict[str, type] = {"dtype": torch.dtype, "layout": torch.layout, "memory_format": torch.memory_format}
_BY_NAME = {
    kind: {name: value for name, value in vars(torch).items() if isinstance(value, of)} for kind, of in _NAMED.items()
}
_ODD = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_KEYS = (str, int, float, bool, type(None))


def to_json(value: object) -> Any:
    """Returns an argument as JSON knows it.

    Raises:
        CheckpointError: It is of a kind that a file can't hold.
    """
    if isinstance(value, fx.Node):
        return f"%{value.name}"
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, complex):
        return {"complex": [to_json(value.real), to_json(value.imag)]}
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, torch.device):
        return {"device": "here"}
    for kind, of in _NAMED.items():
        if isinstance(value, of):
            return {kind: str(value).removeprefix("torch.")}
    if isinstance(value, tuple):
        return {"tuple": [to_json(each) for each in value]}
    if isinstance(value, list):
        return [to_json(each) for each in value]
    if isinstance(value, dict) and all(type(key) in _KEYS for key in value):
        return {"dict": [[key, to_json(each)] for key, each in value.items()]}
    raise CheckpointError(
        f"the graph has {str(value)[:80]} as an argument, a {type(value).__qualname__}: a file can't hold such"
    )


def from_json(value: Any, nodes: Mapping[str, fx.Node], device: torch.device, depth: int = 0) -> Any:
    """The opposite of `to_json`.

    Args:
        value: As it was read.
        nodes: Those that come before, by name.
        device: What stands for the device that the network is on.
        depth: How deep in other values it is.

    Raises:
        CheckpointError: It is not what `to_json` makes, or names a node that doesn't come before.
    """

    def inner(each: Any) -> Any:
        return from_json(each, nodes, device, depth + 1)

    if depth > DEPTH:
        raise CheckpointError(f"an argument is nested more than {DEPTH} deep")
    if isinstance(value, str):
        found = nodes.get(value[1:]) if value.startswith("%") else None
        if found is None:
            raise CheckpointError(f"{value[:80]!r} is no value that was made before it is used")
        return found
    if value is None or type(value) in (bool, float):
        return value
    if type(value) is int and -(1 << 63) <= value < 1 << 63:
        return value
    if isinstance(value, list):
        return [inner(each) for each in value]
    kind, content = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else (None, None)
    make = _MAKERS.get(str(kind))
    if make is not None and (result := make(content, inner)) is not None:
        return result[0]
    if kind == "device" and content == "here":
        return device
    raise CheckpointError(f"{str(value)[:80]} is nothing that an argument can be")


def key_from_json(key: Any) -> Any:
    """A key of a dict."""
    if type(key) not in _KEYS or len(str(key)) > LETTERS:
        raise CheckpointError(f"{str(key)[:80]} can't be a key")
    return key


def _text(content: Any, _: object) -> tuple[str] | None:
    return (content,) if isinstance(content, str) and len(content) <= LETTERS else None


def _float(content: Any, _: object) -> tuple[float] | None:
    return (_ODD[content],) if isinstance(content, str) and content in _ODD else None


def _complex(content: Any, inner: Callable[[Any], Any]) -> tuple[complex] | None:
    parts = [inner(each) for each in content] if isinstance(content, list) and len(content) == 2 else []
    return (complex(*parts),) if parts and all(type(part) is float for part in parts) else None


def _tuple(content: Any, inner: Callable[[Any], Any]) -> tuple[tuple[Any, ...]] | None:
    return (tuple(inner(each) for each in content),) if isinstance(content, list) else None


def _dict(content: Any, inner: Callable[[Any], Any]) -> tuple[dict[Any, Any]] | None:
    if not isinstance(content, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in content):
        return None
    return ({key_from_json(key): inner(each) for key, each in content},)


def named(kind: str, content: Any) -> tuple[Any] | None:
    """A value of torch's own by its name, in a tuple, or None if there is none."""
    found = _BY_NAME[kind].get(content) if isinstance(content, str) else None
    return None if found is None else (found,)


_MAKERS: dict[str, Callable[[Any, Callable[[Any], Any]], tuple[Any] | None]] = {
    "text": _text,
    "float": _float,
    "complex": _complex,
    "tuple": _tuple,
    "dict": _dict,
    "dtype": lambda content, _: named("dtype", content),
    "layout": lambda content, _: named("layout", content),
    "memory_format": lambda content, _: named("memory_format", content),
}
