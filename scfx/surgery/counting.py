"""Muon and Adafactor look at a parameter as a whole and count its entries: here they go on counting those of the start.

Most optimizers treat each entry by itself, so it does not matter to one entry whether another is still there. These two
of torch.optim do not. Muon orthogonalises a matrix of momenta and scales the result by the matrix' shape. Adafactor
keeps means over rows and columns, and divides by the root mean square of the parameter and of its update.

Rows and columns of zeros change neither the products in Muon's iteration nor any of Adafactor's sums. So from the step
on which channels can go, what is there of them in parameter and state is put to zero (`forget_`), as if they had gone.
What is left is that the shape differs. Step hooks give each parameter that has lost entries a parameter group of its
own for the time of the step, with hyperparameters that make up for it (`keep_counting`), and `rescaled` brings means
over fewer entries to the new count. Both are exact: see `_muon` and `_adafactor`.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scfx.errors import OptimizerError

Shape = tuple[int, ...]
Group = dict[str, Any]


def counts(optimizer: torch.optim.Optimizer) -> bool:
    """Whether how many entries a parameter has matters to this optimizer."""
    return isinstance(optimizer, (torch.optim.Muon, torch.optim.Adafactor))


def keep_counting(optimizer: torch.optim.Optimizer, shapes: Mapping[nn.Parameter, Shape], stepped: bool) -> None:
    """From now on the optimizer's steps are those that it would do if parameters still had these shapes.

    Args:
        optimizer: One that `counts`; others are left alone.
        shapes: The shapes of the start. They replace those given before for the same parameters.
        stepped: Whether it may have done a step already.

    Raises:
        OptimizerError: It has done steps with parameters that had lost entries, which were not those steps.
    """
    if not counts(optimizer):
        return
    frame = _FRAMES.get(optimizer)
    if frame is None:
        late = [p for p, shape in shapes.items() if tuple(p.shape) != shape and optimizer.state.get(p)]
        if stepped and late:
            raise OptimizerError(
                f"{type(optimizer).__name__} counts the entries of parameters, of which {len(late)} had lost some "
                "before it was known here: it has to be told how many there were. Call net.attach(optimizer) before "
                "its first step (scfx.load_checkpoint does)"
            )
        frame = _FRAMES[optimizer] = _Frame()
        optimizer.register_step_pre_hook(frame.before)
        optimizer.register_step_post_hook(frame.after)
    frame.shapes.update(shapes)


def forget_(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, masks: tuple[Tensor | None, ...]) -> None:
    """Puts what an optimizer that `counts` could still see of some entries to zero.

    Args:
        optimizer: It may own the parameter.
        parameter: One that is trained. Its marked entries have no influence on what is computed, and no gradient.
        masks: For each dim, a mask on the parameter's device, or None for nothing.
    """
    state = optimizer.state.get(parameter, {})
    if isinstance(optimizer, torch.optim.Adafactor):
        tensors = [parameter.detach(), *(state[key] for key in ("row_var", "col_var", "variance") if key in state)]
    else:
        tensors = [state[key] for key in ("momentum_buffer",) if key in state]
    for tensor in tensors:
        for dim, mask in enumerate(masks):
            if mask is not None and tensor.shape[dim] == len(mask):
                tensor.index_fill_(dim, mask.nonzero().view(-1), 0)


def is_factor(optimizer: torch.optim.Optimizer, key: str, shape: Shape, parameter: Shape) -> bool:
    """Whether a state entry of this shape holds Adafactor's means over a parameter's rows or columns."""
    if not isinstance(optimizer, torch.optim.Adafactor) or key not in _MEAN_OVER or len(parameter) < 2:
        return False
    dim = _MEAN_OVER[key]
    return shape == tuple(1 if other == len(parameter) + dim else size for other, size in enumerate(parameter))


def rescaled(key: str, before: Shape, after: Shape) -> float:
    """By what a sliced mean of Adafactor is multiplied: it is one over fewer entries, of gradients scaled otherwise."""
    dim = _MEAN_OVER[key]
    left = (after[-1] * after[-2]) / (before[-1] * before[-2])
    return before[dim] / after[dim] * left**2


#: The dim of the parameter that each of Adafactor's means runs over.
_MEAN_OVER = {"row_var": -1, "col_var": -2}


class _Frame:
    """The hooks of one optimizer.

    Attributes:
        shapes: The shape that each parameter had at the start.
    """

    def __init__(self) -> None:
        self.shapes: dict[nn.Parameter, Shape] = {}
        self._groups: list[Group] | None = None
        self._grads: list[tuple[nn.Parameter, Tensor]] = []

    def before(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        """A group of its own for each parameter that has lost entries."""
        self.after(optimizer)  # a step that raised has not put things back
        groups: list[Group] = []
        for group in optimizer.param_groups:
            smaller = {p for p in group["params"] if p.grad is not None and self._lost(p)}
            groups.append({**group, "params": [p for p in group["params"] if p not in smaller]} if smaller else group)
            groups.extend(self._alone(optimizer, group, p) for p in group["params"] if p in smaller)
        if len(groups) > len(optimizer.param_groups):
            self._groups, optimizer.param_groups = optimizer.param_groups, groups

    def after(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        """Groups and gradients are again what they were."""
        if self._groups is not None:
            optimizer.param_groups, self._groups = self._groups, None
        for parameter, grad in self._grads:
            parameter.grad = grad
        self._grads = []

    def _lost(self, parameter: nn.Parameter) -> bool:
        return self.shapes.get(parameter, tuple(parameter.shape)) != tuple(parameter.shape)

    def _alone(self, optimizer: torch.optim.Optimizer, group: Group, parameter: nn.Parameter) -> Group:
        first, now = self.shapes[parameter], tuple(parameter.shape)
        alone = {**group, "params": [parameter]}
        if isinstance(optimizer, torch.optim.Muon):
            return alone | _muon(group, first, now)
        assert parameter.grad is not None
        scale = _gradient_scale(first, now)
        if scale != 1:
            self._grads.append((parameter, parameter.grad))
            parameter.grad = parameter.grad * scale
        step = float(optimizer.state.get(parameter, {}).get("step", 0)) + 1
        return alone | _adafactor(group, first, now, step, torch.finfo(parameter.dtype).eps)


_FRAMES: weakref.WeakKeyDictionary[torch.optim.Optimizer, _Frame] = weakref.WeakKeyDictionary()


def _muon(group: Group, first: Shape, now: Shape) -> Group:
    """Muon's learning rate is multiplied by a function of the shape; the weight decay's is not."""
    ratio = _muon_ratio(group["adjust_lr_fn"], first) / _muon_ratio(group["adjust_lr_fn"], now)
    return {"lr": float(group["lr"]) * ratio, "weight_decay": group["weight_decay"] / ratio}


def _muon_ratio(kind: str | None, shape: Shape) -> float:
    rows, columns = shape
    if kind in (None, "original"):
        return math.sqrt(max(1.0, rows / columns))
    return math.sqrt(max(rows, columns)) if kind == "match_rms_adamw" else 1.0


def _gradient_scale(first: Shape, now: Shape) -> float:
    """The factor on gradients with which both of Adafactor's lower bounds on variances come out right.

    One bound, eps1, is on the mean of the row means, which counts the entries of the last two dims; the other, eps1^2,
    is on variances, which no count goes into. With gradients times q, and f times fewer entries, the bounds must be
    eps1 * q^2 * f and eps1^2 * q^2. One number does for both if q = 1 / f.
    """
    return 1.0 if len(now) < 2 else (now[-1] * now[-2]) / (first[-1] * first[-2])


def _adafactor(group: Group, first: Shape, now: Shape, step: float, eps: float) -> Group:
    """With n times fewer entries a root mean square is sqrt(n) times larger, that of the parameter as of its update.

    The step is lr' * max(eps2, rms(parameter)) * update / max(1, rms(update) / d), with lr' the lesser of lr and
    1 / sqrt(step); the update itself is the same, given `rescaled` means and a `_gradient_scale`.
    """
    more = math.sqrt(math.prod(first) / math.prod(now))
    lr, (eps1, eps2) = float(group["lr"]), group["eps"]
    rate = min(lr, step**-0.5) / more
    return {
        "lr": rate,
        "weight_decay": group["weight_decay"] * lr / rate if rate else 0.0,
        "eps": ((eps if eps1 is None else eps1) * _gradient_scale(first, now), eps2 * more),
        "d": group["d"] * more,
    }
