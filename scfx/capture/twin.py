"""Copies of a model to work on, so that the user's own is never touched."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Iterator

import numpy as np
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


def train_as_eval(model: nn.Module) -> None:
    """Make `model`, and copies of it, train as they evaluate: `train()` reaches only modules without children.

    Dropout and norms are such modules, so they go on as in training; what the forward of a larger module does only in
    training, such as a branch that no graph can hold, is left out.
    """
    kind = type(model)

    def train(self: nn.Module, mode: bool = True) -> nn.Module:
        nn.Module.train(self, mode)
        for module in self.modules():
            module.training = mode and not module._modules
        return self

    model.__class__ = type(kind.__name__, (kind,), {"train": train, "__module__": kind.__module__})


def bare(model: nn.Module) -> nn.Module:
    """Return a tree of plain `nn.Module` with the very same parameters and buffers under the same names."""
    return _bare(model, {})


@contextlib.contextmanager
def same_random_state(model: nn.Module, seed: int | None = None) -> Iterator[None]:
    """Leave every random generator as it was found, whatever the body draws; start from `seed` if there is one."""
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=devices):
        if seed is not None:
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextlib.contextmanager
def drawn_outside_torch() -> Iterator[list[str]]:
    """Give a list that names, when the body is done, the generators beside torch's from which it has drawn."""
    found: list[str] = []
    python, numpy = random.getstate(), np.random.get_state()
    yield found
    if random.getstate() != python:
        found.append("Python's random")
    if repr(np.random.get_state()) != repr(numpy):
        found.append("numpy.random")


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
