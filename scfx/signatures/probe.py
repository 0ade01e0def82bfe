"""Finds out how zeros spread through an element-wise operator: runs it with some operands at zero, the others not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from scfx.signatures.call import unbound

#: Numbers of operands, by their place in a call.
Places = frozenset[int]

_DRAWS = 24
_SPECIAL = (0.0, 1.0, -1.0, 1e4, -1e4, 0.25)


@dataclass(frozen=True)
class Spread:
    """How zeros spread.

    Attributes:
        enough: The smallest sets of operands that make the result zero when they are.
        undefined: Larger sets that make it undefined, as 0 / 0 is.
    """

    enough: tuple[Places, ...] = ()
    undefined: tuple[Places, ...] = ()


def spread(target: Any, names: tuple[str, ...], arguments: Mapping[str, Any]) -> Spread:
    """How zeros spread through a call.

    Args:
        target: The operator.
        names: The operands, as `Call.operands` names them.
        arguments: Every argument by name; tensors are the nodes that make them.
    """
    dtypes = tuple(_dtype(arguments, name) for name in names)
    scalars = tuple((k, _frozen(v)) for k, v in arguments.items() if k not in names and not _is_tensor_list(v))
    return _run(target, names, dtypes, scalars)


def _dtype(arguments: Mapping[str, Any], name: str) -> torch.dtype:
    base, _, index = name.partition("[")
    node = arguments[base][int(index[:-1])] if index else arguments[base]
    dtype = node.meta.get("dtype")
    return dtype if isinstance(dtype, torch.dtype) else torch.float64


def _frozen(value: Any) -> Any:
    if isinstance(value, fx.Node):
        return 3 if "value" in value.meta else None
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _is_tensor_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(v, fx.Node) and "value" not in v.meta for v in value)


@cache
def _run(
    target: Any, names: tuple[str, ...], dtypes: tuple[torch.dtype, ...], scalars: tuple[tuple[str, Any], ...]
) -> Spread:
    values = _values(len(names))
    enough: list[Places] = []
    undefined: list[Places] = []
    for places in _subsets(len(names)):
        arguments: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in scalars}
        for place, (name, dtype) in enumerate(zip(names, dtypes, strict=True)):
            draw = np.zeros_like(values[place]) if place in places else values[place]
            value = torch.from_numpy(draw > 0 if dtype == torch.bool else draw)
            value = value.to(torch.float64 if dtype.is_floating_point else dtype)
            if name.endswith("]"):
                arguments.setdefault(name.partition("[")[0], []).append(value)
            else:
                arguments[name] = value
        zero, known = _is_zero(target, arguments), any(less <= places for less in enough)
        if zero and not known:
            enough.append(places)
        elif known and not zero:
            undefined.append(places)
    return Spread(tuple(enough), tuple(undefined))


def _subsets(count: int) -> list[Places]:
    """Every choice of operands but none at all, the smaller ones first."""
    return [frozenset(places) for n in range(1, count + 1) for places in itertools.combinations(range(count), n)]


def _values(operands: int) -> NDArray[np.float64]:
    """Random values for each operand, and special ones in every combination: `x == y` is zero for most x and y."""
    special = _SPECIAL if operands <= 3 else _SPECIAL[:2]
    combined = np.array(list(itertools.product(special, repeat=operands))).T
    drawn = np.random.default_rng(0).normal(size=(operands, _DRAWS)) * 3
    return np.concatenate([drawn, combined], axis=1)


def _is_zero(target: Any, arguments: dict[str, Any]) -> bool:
    """Whether the result is zero for all values, or for some and undefined for the others. What fails to run is not."""
    args, kwargs = unbound(target, arguments)
    try:
        result = target(*args, **kwargs)
    except (RuntimeError, NotImplementedError, TypeError, ValueError, ZeroDivisionError):
        return False
    results = result if isinstance(result, (tuple, list)) else [result]
    return all(bool(((r == 0) | r.isnan()).all()) and not bool(r.isnan().all()) for r in results)
