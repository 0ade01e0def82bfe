"""Copies of a model to work on, so that the user's own is never touched."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Iterator

import torch
from torch import nn

from scfx.errors import ModelError


def own_copy(model: nn.Module) -> nn.Module:
    """Return a copy of `model` with parameters of its own: equal values, dtypes and `requires_grad`, no gradients.

    Tied parameters stay tied. Raises ModelError if the model cannot be copied.
    """
    memo: dict[int, object] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = _clone(parameter)
    return _copy(model, memo)


def twin(model: nn.Module) -> nn.Module:
    """Return a copy of `model` that shares its parameters but has modules, flags and buffers of its own."""
    return _copy(model, {id(parameter): parameter for parameter in model.parameters()})


def bare(model: nn.Module) -> nn.Module:
    """Return a tree of plain `nn.Module` with the very same parameters and buffers under the same names."""
    return _bare(model, {})


@contextlib.contextmanager
def same_random_state(model: nn.Module, seed: int | None = None) -> Iterator[None]:
    """Leave every random generator as it was found, whatever the body draws; start from `seed` if there is one."""
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    python = random.getstate()
    with torch.random.fork_rng(devices=devices):
        if seed is not None:
            torch.manual_seed(seed)
            random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)


def _clone(parameter: nn.Parameter) -> nn.Parameter:
    if type(parameter) is nn.Parameter:
        return nn.Parameter(parameter.detach().clone(), requires_grad=parameter.requires_grad)
    clone = copy.deepcopy(parameter)
    clone.grad = None
    return clone


def _copy(model: nn.Module, memo: dict[int, object]) -> nn.Module:
    kept = list(memo.values())  # deepcopy trusts ids, so what they stand for has to stay alive
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:  # a cached result: deepcopy refuses its history
                memo[id(value)] = value.detach().clone()
    try:
        duplicate = copy.deepcopy(model, memo)
    except Exception as error:
        raise ModelError(f"the model cannot be copied with copy.deepcopy, which capture needs: {error}") from error
    del kept
    for module in duplicate.modules():
        module._backward_hooks.clear()
        module._backward_pre_hooks.clear()
    return duplicate


def _bare(module: nn.Module, done: dict[int, nn.Module]) -> nn.Module:
    if id(module) in done:
        return done[id(module)]
    plain = done[id(module)] = nn.Module()
    plain.training = module.training
    plain._parameters = dict(module._parameters)
    plain._buffers = dict(module._buffers)
    plain._non_persistent_buffers_set = set(module._non_persistent_buffers_set)
    plain._modules = {name: None if child is None else _bare(child, done) for name, child in module._modules.items()}
    return plain
