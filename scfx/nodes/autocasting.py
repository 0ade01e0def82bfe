"""Operators of torch as they compute while autocast is off, or on, whatever it is around them.

A model that switches autocast for a few lines, as with `torch.autocast(..., enabled=False)`, has these in their place,
so that such a region needs no graph of its own: to the analysis they are the operators that they stand for.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._C import DispatchKey
from torch._ops import OpOverload
from torch.utils import _pytree as pytree

#: How a region sets autocast: whether it is on, and its dtype; None: the one that the device has then.
Setting = tuple[bool, torch.dtype | None]

#: Each operator made here: the one of torch that it stands for, and how autocast is set for it.
ORIGINALS: dict[OpOverload, tuple[OpOverload, Setting]] = {}

_LIBRARY = torch.library.Library("scfx", "FRAGMENT")
_AUTOCAST = tuple(getattr(DispatchKey, f"Autocast{device}") for device in ("CPU", "CUDA", "MPS", "XPU"))


def is_cast(operator: OpOverload) -> bool:
    """Whether autocast may change what an operator computes: on some device, itself or in a part that it is made of."""
    if operator.namespace != "aten" or operator._schema.is_mutable:
        return False
    if any(map(operator.has_kernel_for_dispatch_key, _AUTOCAST)):
        return True
    moves = any(made.alias_info is not None for made in operator._schema.returns)
    return not moves and operator.has_kernel_for_dispatch_key(DispatchKey.CompositeImplicitAutograd)


@cache
def under(operator: OpOverload, setting: Setting) -> OpOverload:
    """The operator that computes what `operator` does while autocast is set so on the device of its first tensor."""
    enabled, dtype = setting

    def run(*args: Any, **kwargs: Any) -> Any:
        tensors = (leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
        device = next((tensor.device.type for tensor in tensors), "cpu")
        if not torch.amp.is_autocast_available(device) or not (enabled or torch.is_autocast_enabled(device)):
            return operator(*args, **kwargs)
        with torch.autocast(device, dtype, enabled):
            return operator(*args, **kwargs)

    kind = "uncast" if not enabled else "cast" if dtype is None else f"cast_{str(dtype).removeprefix('torch.')}"
    name = f"{kind}_{operator._schema.name.removeprefix('aten::').replace('::', '_')}"
    overload = operator._overloadname
    full = name if overload == "default" else f"{name}.{overload}"
    _LIBRARY.define(f"{full}({str(operator._schema).partition('(')[2]}", tags=tuple(operator.tags))
    _LIBRARY.impl(full, run, "CompositeImplicitAutograd")
    made: OpOverload = getattr(getattr(torch.ops.scfx, name), overload)
    ORIGINALS[made] = operator, setting
    return made


def like(operator: OpOverload, other: object) -> OpOverload:
    """The operator under the setting of autocast that another one has, if it has one."""
    known = ORIGINALS.get(other) if isinstance(other, OpOverload) else None
    return under(operator, known[1]) if known else operator


def original(operator: object) -> object:
    """The operator of torch that an operator made here stands for; any other target stands for itself."""
    known = ORIGINALS.get(operator) if isinstance(operator, OpOverload) else None
    return known[0] if known else operator
