"""Surgery on parameters, buffers and optimizer state: what is shaped like a parameter loses the same entries as it.

A parameter remains the same object, so optimizers, schedulers and hooks that hold it need no telling. An optimizer's
state is recognised by shape alone: a tensor shaped like its parameter is sliced with it, a single number is kept, and
anything else is refused before anything has changed. That covers the element-wise optimizers of torch.optim and of
third parties. Of those that look at a parameter as a whole, `scfx/surgery/counting.py` knows two, with their state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scfx.errors import OptimizerError, PlanError
from scfx.surgery.counting import Shape, is_factor, keep_counting, rescaled
from scfx.surgery.elementwise import warn_unless_elementwise
from scfx.surgery.parallel import refuse_sharded

Kept = tuple[Tensor | None, ...]
"""For each dim of a tensor the indices that stay, 1-D and int64, in their new order; None keeps all of them."""

Optimizers = torch.optim.Optimizer | Sequence[torch.optim.Optimizer]
"""One optimizer, or several that share the parameters among them."""

_NAMES_SHOWN = 5


def each_optimizer(optimizers: object) -> tuple[torch.optim.Optimizer, ...]:
    """One or several optimizers as a tuple. What wraps one, as accelerate does, is taken for what is in it.

    Raises:
        OptimizerError: There is none, or something that is no torch optimizer.
    """
    several = tuple(optimizers) if isinstance(optimizers, Sequence) else (optimizers,)
    if not several:
        raise OptimizerError("expected a torch.optim.Optimizer, or several, got none")
    found = []
    for each in several:
        if not isinstance(each, torch.optim.Optimizer):
            raise OptimizerError(f"expected a torch.optim.Optimizer, got {type(each).__module__}.{type(each).__name__}")
        inner: object = each
        while isinstance(inner, torch.optim.Optimizer):
            each, inner = inner, getattr(inner, "optimizer", None)
        found.append(each)
    return tuple(found)


def meet_optimizers(
    optimizers: object, parameters: Mapping[str, nn.Parameter], shapes: Mapping[str, Shape], stepped: bool = True
) -> tuple[torch.optim.Optimizer, ...]:
    """Checks optimizers as `check_optimizer` does, and tells those that count entries how many there were at first.

    Args:
        optimizers: One or several.
        parameters: What they train, by name.
        shapes: The shape of the start of each, by name.
        stepped: Whether they may have done a step already.

    Raises:
        OptimizerError: as `check_optimizer` and `keep_counting` do. Nothing changes then.
    """
    several = each_optimizer(optimizers)
    check_optimizer(several, parameters)
    for each in several:
        warn_unless_elementwise(each)
        keep_counting(each, {parameter: shapes[name] for name, parameter in parameters.items()}, stepped)
    return several


def check_optimizer(optimizers: object, parameters: Mapping[str, nn.Parameter]) -> None:
    """Checks that one or several optimizers can follow when entries of these parameters (by name) go.

    It changes nothing.

    Raises:
        OptimizerError: one is not a torch optimizer, none owns one of the parameters that require a gradient, or one
            holds state for a parameter of which it cannot be known how to slice it.
        ModelError: A parameter is split over processes.
    """
    refuse_sharded(parameters)
    several = each_optimizer(optimizers)
    kinds = " and ".join(dict.fromkeys(type(each).__name__ for each in several))
    if any(isinstance(each, torch.optim.LBFGS) for each in several):
        raise OptimizerError("LBFGS keeps one flat history for all parameters, which cannot be sliced; use another one")
    owned = {id(p) for each in several for group in each.param_groups for p in group["params"]}
    missing = [name for name, each in parameters.items() if each.requires_grad and id(each) not in owned]
    if missing:
        raise OptimizerError(
            f"{kinds} does not own {len(missing)} of the {len(parameters)} parameters to be sliced "
            f"({_shortened(missing)}); build it from the parameters of the compressed module, not of the original "
            "model, give all optimizers if there are several, and freeze what is not meant to train with "
            "requires_grad_(False)"
        )
    for optimizer in several:
        for name, parameter in parameters.items():
            check_state(optimizer, name, parameter.shape, optimizer.state.get(parameter, {}))


def check_state(optimizer: torch.optim.Optimizer, name: str, shape: torch.Size, state: Mapping[str, Any]) -> None:
    """Checks that it is known how to slice what an optimizer keeps for a parameter of this name and shape.

    Raises:
        OptimizerError: It is not.
    """
    kind = type(optimizer).__name__
    for key, value in state.items():
        for tensor in _tensors(value):
            known = _is_number(key, tensor) or tensor.shape == shape
            if not (known or is_factor(optimizer, key, tensor.shape, shape)):
                raise OptimizerError(
                    f"{kind} keeps {key!r} of shape {tuple(tensor.shape)} for {name} of shape {tuple(shape)}: neither "
                    "a number nor shaped like the parameter, so it is not known how to slice it; use an element-wise "
                    "optimizer such as SGD, Adam or AdamW, or prune without an optimizer and build a new one"
                )


def slice_optimizer(optimizers: Optimizers, kept: Mapping[nn.Parameter, Kept]) -> int:
    """Slices the state of each parameter; call it after `check_optimizer` and before the parameters are sliced.

    Parameter groups are left alone. All slices are made before the first is put in place.

    Returns:
        The number of state entries replaced.

    Raises:
        PlanError: the indices do not fit a parameter. The optimizer is then as it was.
    """
    replaced: list[tuple[dict[str, Any], str, Any]] = []
    for parameter, indices in kept.items():
        _check_kept(parameter, indices)
        for optimizer in each_optimizer(optimizers):
            state = optimizer.state.get(parameter, {})
            for key, value in state.items():
                if isinstance(value, Tensor) and is_factor(optimizer, key, value.shape, parameter.shape):
                    new = _sliced_factor(key, value, parameter.shape, indices)
                else:
                    new = _sliced_state(key, value, parameter.shape, indices)
                if new is not value:
                    replaced.append((state, key, new))
    for state, key, new in replaced:
        state[key] = new
    return len(replaced)


def slice_parameter_(parameter: nn.Parameter, kept: Kept) -> None:
    """Slices a parameter and its gradient in place: the object, its hooks and its memory format stay.

    Graphs built before cannot run backward any more.

    Raises:
        PlanError: the indices do not fit. The parameter is then as it was.
    """
    grad = parameter.grad
    values = slice_tensor(parameter.detach(), kept)
    if all(index is None for index in kept):
        return
    new_grad = None if grad is None else slice_tensor(grad, kept)
    parameter.grad = None
    _replace_data(parameter, values)
    parameter.grad = new_grad


def slice_buffer_(buffer: Tensor, kept: Kept) -> None:
    """Slices a buffer in place, so that it stays the same object under all its names.

    Raises:
        PlanError: the indices do not fit. The buffer is then as it was.
    """
    values = slice_tensor(buffer.detach(), kept)
    if any(index is not None for index in kept):
        _replace_data(buffer, values)


def slice_tensor(tensor: Tensor, kept: Kept) -> Tensor:
    """Returns the kept entries with storage of their own, dense and in the tensor's own order of strides.

    The order is kept so that channels-last stays channels-last. Where nothing is removed the tensor itself is returned.

    Raises:
        PlanError: the indices do not fit the tensor's shape.
    """
    _check_kept(tensor, kept)
    return _sliced(tensor, kept)


def _sliced(tensor: Tensor, kept: Kept) -> Tensor:
    """The same, of indices that are known to fit."""
    result = tensor
    for dim, index in enumerate(kept):
        if index is not None:
            result = result.index_select(dim, index.to(tensor.device))
    if result is tensor or tensor.layout is not torch.strided:
        return result
    order = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    if order == list(range(tensor.dim())):
        return result  # `index_select` has made it so
    inverse = sorted(range(tensor.dim()), key=order.__getitem__)
    # `contiguous` would not touch the strides of dims of size 1, which are what makes a 1 x 1 weight channels-last.
    return result.permute(order).clone(memory_format=torch.contiguous_format).permute(inverse)


def _replace_data(tensor: Tensor, values: Tensor) -> None:
    """Points the tensor at new values of another shape.

    While a graph built before is alive (a loop's `loss` usually is) autograd would go on using the node that
    accumulates this parameter's gradient, which remembers the old shape and refuses the new gradients. Passing through
    another dtype is what makes torch drop that node; hooks are held by the tensor itself and stay.
    """
    if tensor.requires_grad:
        tensor.data = values.new_empty(0, dtype=torch.float64 if values.dtype != torch.float64 else torch.float32)
    tensor.data = values


def _check_kept(tensor: Tensor, kept: Kept) -> None:
    """Raises PlanError unless there is one index tensor or None a dim, each 1-D, int64 and within the dim's size."""
    shape = tuple(tensor.shape)
    if len(kept) != len(shape):
        raise PlanError(f"{len(kept)} index tensors were given for a tensor of shape {shape}: one a dim is needed")
    for dim, (size, index) in enumerate(zip(shape, kept, strict=True)):
        if index is None:
            continue
        if index.dim() != 1 or index.dtype != torch.int64:
            raise PlanError(f"indices must be 1-D and int64; those of dim {dim} are {index.dim()}-D and {index.dtype}")
        if not index.numel():
            continue
        first, last = map(int, index.aminmax())
        if first < 0 or last >= size:
            raise PlanError(
                f"indices {first} .. {last} do not fit dim {dim} of a tensor of shape {shape}; has it been sliced "
                "already?"
            )


def _is_number(key: object, tensor: Tensor) -> bool:
    """Returns whether a state tensor is one number for the whole parameter.

    One of shape (1,) could also belong to a parameter of shape (1,). It is sliced with it then (which changes nothing
    unless the parameter vanishes), except for a step counter, which every optimizer calls "step".
    """
    return tensor.dim() == 0 or (tensor.numel() == 1 and (tensor.dim() == 1 or key == "step"))


def _tensors(value: object) -> Iterator[Tensor]:
    """Yields every tensor within a state entry."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)


def _sliced_state(key: str, value: Any, shape: torch.Size, kept: Kept) -> Any:
    """Returns the state entry with every tensor of that shape sliced, or the entry itself if it has none."""
    if isinstance(value, Tensor):
        counter = key == "step" and value.numel() == 1
        return value if counter or value.shape != shape else _sliced(value, kept)
    if isinstance(value, Mapping):
        new = {name: _sliced_state(key, each, shape, kept) for name, each in value.items()}
        return new if any(new[name] is not each for name, each in value.items()) else value
    if isinstance(value, (list, tuple)):
        items = [_sliced_state(key, each, shape, kept) for each in value]
        return type(value)(items) if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _sliced_factor(key: str, value: Tensor, shape: torch.Size, kept: Kept) -> Tensor:
    """Returns one of Adafactor's means for a parameter of this shape that loses entries."""
    if all(index is None for index in kept):
        return value
    after = tuple(size if index is None else len(index) for size, index in zip(shape, kept, strict=True))
    own = tuple(None if size == 1 else index for size, index in zip(value.shape, kept, strict=True))
    return slice_tensor(value, own) * rescaled(key, tuple(shape), after)


def _shortened(names: list[str]) -> str:
    """Returns the first few names, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
