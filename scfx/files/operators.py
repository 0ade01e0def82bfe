"""The operators that a file may name: those that have a record, and arithmetic on sizes. Nothing else is looked up."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any

import torch

from scfx.errors import CheckpointError
from scfx.signatures import TABLE, lookup

#: Plain functions, as finalized graphs have them for sizes and for results with several parts.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        f"operator.{name}": getattr(operator, name)
        for name in "getitem add sub mul floordiv truediv mod neg lt le gt ge eq ne and_ or_ not_".split()
    },
    **{f"math.{name}": getattr(math, name) for name in "floor ceil trunc sqrt".split()},
    **{f"torch.{name}": getattr(torch, name) for name in "sym_max sym_min sym_int sym_float sym_not".split()},
}

#: Operators without a record, for it is said elsewhere what they are: sizes, and regions with a setting of autocast.
MORE = {"aten.sym_size.int", "aten.sym_numel.default", "aten._grouped_mm.default"}

#: A region: the graph that it holds comes by name.
REGION = "wrap_with_autocast"


def name_of_operator(target: object) -> str:
    """The name by which `operator_named` finds it.

    Raises:
        CheckpointError: It is none of those that a file may name.
    """
    if target is torch.ops.higher_order.wrap_with_autocast:
        return REGION
    known = next((name for name, function in FUNCTIONS.items() if function is target), None)
    name = known or str(target)
    if known or (isinstance(target, torch._ops.OpOverload) and _find(name) is target):
        return name
    raise CheckpointError(f"the graph calls {name}, which has no record and which a file can't hold therefore")


def operator_named(name: object) -> Any:
    """The operator.

    Raises:
        CheckpointError: None of those that a file may name is named so.
    """
    if name == REGION:
        return torch.ops.higher_order.wrap_with_autocast
    found = FUNCTIONS.get(name) or _find(name) if isinstance(name, str) else None
    if found is None:
        raise CheckpointError(f"it calls {str(name)[:80]!r}, which is no operator that a file may call here")
    return found


def _find(name: str) -> Any:
    """An operator that torch has registered, if it has a record."""
    match = re.fullmatch(r"([a-z_0-9]+)\.([A-Za-z_0-9]+)\.([A-Za-z_0-9]+)", name)
    if match is None or (match[1] != "aten" and name not in TABLE):
        return None
    namespace, operator, overload = match.groups()
    try:
        torch._C._get_schema(f"{namespace}::{operator}", "" if overload == "default" else overload)
    except RuntimeError:
        return None
    found = getattr(getattr(getattr(torch.ops, namespace), operator), overload)
    return found if name in MORE or lookup(found) is not None else None
