"""Does an optimizer that nobody here knows treat each entry by itself? It is tried out, on two small parameters.

Of state that is shaped like the parameter nothing tells whether the steps are element-wise, too: LARS and LAMB scale
them by the norm of the whole parameter. If so, outputs still don't change when channels go, but later steps do.
"""

from __future__ import annotations

import inspect
import warnings
import weakref

import torch
from torch import nn

_STEPS = 3
_KEPT = ([0, 2, 3], [1, 4])

_TRIED: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()


def warn_unless_elementwise(optimizer: torch.optim.Optimizer) -> None:
    """Warns, once, if it isn't known that the steps of an optimizer are the same for entries whose neighbours went."""
    if type(optimizer).__module__.split(".")[:2] == ["torch", "optim"] or optimizer in _TRIED:
        return
    _TRIED.add(optimizer)
    found = is_elementwise(optimizer)
    if found is not True:
        why = "can't be tried out here" if found is None else "looks at more than one entry of a parameter at once"
        warnings.warn(
            f"{type(optimizer).__name__} {why}. Removing channels doesn't change what the network computes, but the "
            "steps after it may be others than without: the result can depend on net.prune_every",
            stacklevel=5,
        )


def is_elementwise(optimizer: torch.optim.Optimizer) -> bool | None:
    """Whether entries of a matrix train the same without the others; None if the optimizer can't be made anew.

    The one that is tried is another one of its class, with the hyperparameters of the first group.
    """
    generator = torch.Generator().manual_seed(0)
    weight, *grads = torch.randn(1 + _STEPS, 5, 6, generator=generator, dtype=torch.float64)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            whole = _trained(optimizer, weight, grads)
            small = _trained(optimizer, _part(weight), [_part(grad) for grad in grads])
        except Exception:  # the user's or somebody else's code, which may want anything
            return None
    return torch.allclose(_part(whole), small, rtol=1e-9, atol=1e-12)


def _part(tensor: torch.Tensor) -> torch.Tensor:
    rows, columns = _KEPT
    return tensor[rows][:, columns]


def _trained(optimizer: torch.optim.Optimizer, weight: torch.Tensor, grads: list[torch.Tensor]) -> torch.Tensor:
    parameter = nn.Parameter(weight.clone())
    named = inspect.signature(type(optimizer)).parameters
    other = type(optimizer)([parameter], **{k: v for k, v in optimizer.defaults.items() if k in named})
    other.param_groups[0].update({k: v for k, v in optimizer.param_groups[0].items() if k != "params"})
    for grad in grads:
        parameter.grad = grad.clone()
        other.step()
    return parameter.detach()
