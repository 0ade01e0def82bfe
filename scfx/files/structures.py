"""The structure of nested inputs and outputs as JSON, and back, without the classes that the model had for them.

`"*"` is a tensor; `{"list": [...]}`, `{"tuple": [...]}` and `{"dict": [[key, structure], ...]}` are what they say.
Dataclasses, named tuples and the outputs of Hugging Face's models are `{"fields": [[name, structure], ...]}`.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import Any, NoReturn

import torch
from torch.fx._pytree import register_pytree_flatten_spec
from torch.utils import _pytree as pytree

from scfx.capture.leaves import steps
from scfx.errors import CheckpointError
from scfx.files.limits import DEPTH, identifier
from scfx.files.values import key_from_json


class Fields(dict[str, Any]):
    """What a model returns in a class of its own, when it has been loaded without the class.

    Its fields are read as `out.logits`, `out["logits"]` or `out[0]`.
    """

    def __getattr__(self, name: str) -> Any:
        return self[name] if name in self else self._missing(name)

    def __getitem__(self, key: str | int) -> Any:
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)

    def _missing(self, name: str) -> NoReturn:
        raise AttributeError(f"this output has no {name!r}, only {', '.join(self) or 'nothing'}")


def _field(value: Any, name: str) -> Any:
    return value[name] if isinstance(value, dict) else getattr(value, name)


pytree.register_pytree_node(
    Fields,
    lambda fields: (list(fields.values()), list(fields)),
    lambda values, names: Fields(zip(names, values, strict=True)),
    serialized_type_name="scfx.Fields",
)
register_pytree_flatten_spec(Fields, lambda value, spec: [_field(value, name) for name in spec.context])


def structure_to_json(spec: pytree.TreeSpec) -> Any:
    """Returns a structure as JSON knows it."""
    if spec.is_leaf():
        return "*"
    children = spec.children()
    inner = [structure_to_json(child) for child in children]
    if spec.type in (dict, OrderedDict, defaultdict):
        return {"dict": [list(pair) for pair in zip(_keys(spec), inner, strict=True)]}
    if spec.type in (list, tuple):
        return {spec.type.__name__: inner}
    found = steps(pytree.tree_unflatten([torch.empty(0)] * spec.num_leaves, spec), len(children), spec.context)
    names = [step.removeprefix(".").removeprefix("['").removesuffix("']") for step in found]
    if all(name.isidentifier() for name in names):
        return {"fields": [list(pair) for pair in zip(names, inner, strict=True)]}
    return {"tuple": inner}


def structure_from_json(value: Any) -> pytree.TreeSpec:
    """The opposite of `structure_to_json`.

    Raises:
        CheckpointError: It is not what that makes.
    """
    return pytree.tree_structure(_example(value, 0))


def _keys(spec: pytree.TreeSpec) -> list[Any]:
    keys = spec.context[1] if spec.type is defaultdict else spec.context
    return [key_from_json(key) for key in keys]


def _example(value: Any, depth: int) -> Any:
    """Something of this structure."""
    if value == "*":
        return 0
    kind, content = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else (None, None)
    if depth <= DEPTH and isinstance(content, list):
        if kind in ("list", "tuple"):
            children = [_example(each, depth + 1) for each in content]
            return children if kind == "list" else tuple(children)
        if kind in ("dict", "fields") and all(isinstance(pair, list) and len(pair) == 2 for pair in content):
            pairs = [(key, _example(each, depth + 1)) for key, each in content]
            if kind == "dict":
                return {key_from_json(key): each for key, each in pairs}
            return Fields({identifier(name, "a field"): each for name, each in pairs})
    raise CheckpointError(f"{str(value)[:80]} is no structure of inputs or outputs")
