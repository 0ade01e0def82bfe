"""Nested inputs and outputs: flat leaves with names a person can read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils import _pytree as pytree

#: A structure as nested tuples: None is a leaf, else the class, its context and the children.
PlainSpec = tuple[Any, Any, tuple[Any, ...]] | None


def named_leaves(tree: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of `tree` in pytree order, each with its path as it would be written in Python.

    The path starts with `prefix`: `out` gives `out['logits']`, `out[0]`, `out.loss`. None is a leaf.
    """
    node = pytree.SUPPORTED_NODES.get(_node_type(tree))
    if node is None:
        yield prefix, tree
        return
    children, context = node.flatten_fn(tree)
    for step, child in zip(steps(tree, len(children), context), children, strict=True):
        yield from named_leaves(child, prefix + step)


def register_dataclasses(tree: object) -> None:
    """Make the class of every dataclass inside `tree` a pytree node, so that its fields are leaves."""
    _register_dataclass(type(tree))
    node = pytree.SUPPORTED_NODES.get(_node_type(tree))
    if node is not None:
        for child in node.flatten_fn(tree)[0]:
            register_dataclasses(child)


def names_of(spec: pytree.TreeSpec) -> tuple[str, ...]:
    """Return the path of every leaf of a tree with the structure `spec`; the path of a bare leaf is empty."""
    tree = pytree.tree_unflatten([torch.empty(0)] * spec.num_leaves, spec)
    return tuple(name for name, _ in named_leaves(tree))


def plain_spec(spec: pytree.TreeSpec) -> PlainSpec:
    """Return `spec` as nested tuples, which copy and pickle whatever version of torch reads them."""
    if spec.is_leaf():
        return None
    return spec.type, spec.context, tuple(plain_spec(child) for child in _children(spec))


def spec_from_plain(plain: PlainSpec) -> pytree.TreeSpec:
    """Return the structure that `plain_spec` has written down; classes of dataclasses become pytree nodes again."""
    if plain is None:
        return pytree.tree_structure(0)
    kind, context, children = plain
    _register_dataclass(kind)
    return pytree.TreeSpec(kind, context, [spec_from_plain(child) for child in children])


def _children(spec: pytree.TreeSpec) -> list[pytree.TreeSpec]:
    """Return the children of `spec`, which torch has moved from an attribute to a method."""
    children: list[pytree.TreeSpec] = spec.children() if hasattr(spec, "children") else spec.children_specs
    return children


def _register_dataclass(kind: Any) -> None:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind not in pytree.SUPPORTED_NODES:
        torch.export.register_dataclass(kind, serialized_type_name=f"{kind.__module__}.{kind.__qualname__}")


def _node_type(tree: object) -> Any:
    return pytree._get_node_type(tree)


def steps(tree: object, count: int, context: object) -> list[str]:
    """Return how each of the `count` children is reached from `tree`."""
    if isinstance(tree, Mapping):
        keys = context if isinstance(context, list) and len(context) == count else list(tree)
        return [f"[{key!r}]" for key in keys]
    fields = getattr(tree, "_fields", None)
    if isinstance(tree, tuple) and fields is not None:
        return [f".{field}" for field in fields]
    if dataclasses.is_dataclass(tree) and isinstance(context, (list, tuple)) and context:
        names = context[0]  # torch's registration of dataclasses: names that hold a value, then names that hold None
        if isinstance(names, list) and len(names) == count:
            return [f".{name}" for name in names]
    return [f"[{index}]" for index in range(count)]
