"""Layers that repeat, on one line: what differs in the numbers of its name only is said once."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")

#: A number that is a part of a module's path, as in "layer.11.norm"; not the one in "conv1" or in "weight[0]".
_NUMBER = re.compile(r"(?:(?<=\.)|^)\d+(?=\.)")


def alike(
    items: Iterable[Item], name: Callable[[Item], str], rest: Callable[[Item], Hashable]
) -> list[tuple[str, list[Item]]]:
    """Items with names that differ in numbers only and of which the same is to be said, in the order of the first ones.

    Args:
        items: The items.
        name: The name of one.
        rest: What else is said of it.

    Returns:
        For each group what its names have in common, with stars for the numbers that differ, and the items.
    """
    groups: dict[tuple[str, Hashable], list[Item]] = {}
    for item in items:
        groups.setdefault((_NUMBER.sub("*", name(item)), rest(item)), []).append(item)
    return [(_common([name(item) for item in group]), group) for group in groups.values()]


def _common(names: Sequence[str]) -> str:
    """One name for all: a star for each number that differs."""
    numbers = zip(*(_NUMBER.findall(name) for name in names), strict=True)
    shown = iter([found[0] if len(set(found)) == 1 else "*" for found in numbers])
    return _NUMBER.sub(lambda _: next(shown), names[0])
