"""Putting a saved run into the objects of a new one: everything is checked first, then nothing can fail half way."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scfx.errors import CheckpointError, InputError
from scfx.module import CompressedModule
from scfx.surgery.optimizers import check_state, meet_optimizers
from scfx.surgery.resuming import check_names, is_entry, plan_from

_PARTS = ("net", "optimizers", "extra", "random")


def parameter_names(net: nn.Module, optimizer: torch.optim.Optimizer) -> list[list[str]]:
    """For each parameter group the names of its parameters, empty for those of other modules."""
    known = {id(parameter): name for name, parameter in net.named_parameters()}
    return [[known.get(id(parameter), "") for parameter in group["params"]] for group in optimizer.param_groups]


def restore_all(
    content: Mapping[str, Any],
    net: CompressedModule,
    optimizers: tuple[torch.optim.Optimizer, ...],
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """Restores what `scfx.load_checkpoint` has read, and returns the extra values that nothing was given for."""
    modules = {name: value for name, value in extra.items() if isinstance(value, nn.Module)}
    meet_optimizers(optimizers, dict(net.named_parameters()), net._widths.shapes, stepped=False)
    try:
        _check(content, net, optimizers, extra)
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
        if isinstance(error, InputError):
            raise
        raise CheckpointError(f"the checkpoint can't be restored: {error}. Nothing was changed") from error

    others = {name: value for name, value in extra.items() if name not in modules}
    states = {id(value): content["extra"][name]["state"] for name, value in others.items()}
    states |= {id(each): saved["state"] for each, saved in zip(optimizers, content["optimizers"], strict=True)}
    _load_together([*others.values(), *optimizers], states)
    net.load_state_dict(content["net"])
    for name, value in modules.items():
        value.load_state_dict(content["extra"][name]["state"])
    _set_random(content["random"])
    return {name: saved["state"] for name, saved in content["extra"].items() if name not in extra}


def _check(
    content: Mapping[str, Any],
    net: CompressedModule,
    optimizers: tuple[torch.optim.Optimizer, ...],
    extra: Mapping[str, Any],
) -> None:
    if set(content) != set(_PARTS) or any(not isinstance(content[name], dict) for name in ("net", "extra", "random")):
        raise CheckpointError(f"the checkpoint has not the parts {', '.join(_PARTS)}, and can't be restored")
    check_module(net, content["net"], "the network")
    _check_optimizers(net, optimizers, content)
    _check_random(content["random"])
    for name, value in extra.items():
        _check_extra(name, value, content["extra"])


def check_module(module: nn.Module, state: object, what: str) -> None:
    """Checks that a state dict fits a module, whatever compressed modules in it have lost; changes nothing.

    Raises:
        CheckpointError: It does not.
    """
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"what was saved for {what} is not the state of a module")
    inner = {name: each for name, each in module.named_modules() if isinstance(each, CompressedModule)}
    prefixes = {f"{name}." if name else "" for name in inner}

    def own(key: str) -> bool:
        return not any(key.startswith(prefix) and is_entry(key.removeprefix(prefix)) for prefix in prefixes)

    present = {key: value for key, value in module.state_dict().items() if own(key)}
    check_names(present, {key: value for key, value in state.items() if own(key)})
    for name, each in inner.items():
        plan_from(each, state, f"{name}." if name else "")
    for key, value in present.items():
        saved = state[key]
        if saved.dtype != value.dtype:
            raise CheckpointError(f"{key} of {what} is {saved.dtype} in the checkpoint and {value.dtype} here")
        if saved.shape != value.shape and not any(key.startswith(prefix) for prefix in prefixes):
            raise CheckpointError(
                f"{key} of {what} has the shape {tuple(saved.shape)} in the checkpoint and {tuple(value.shape)} here"
            )


def _check_optimizers(
    net: CompressedModule, optimizers: tuple[torch.optim.Optimizer, ...], content: Mapping[str, Any]
) -> None:
    saved = content["optimizers"]
    kinds = [type(each).__name__ for each in optimizers]
    if not isinstance(saved, list) or [each["kind"] for each in saved] != kinds:
        found = [each["kind"] for each in saved] if isinstance(saved, list) else saved
        raise CheckpointError(f"the checkpoint is of the optimizers {found}, and here are {kinds}. Nothing was changed")
    for kind, optimizer, each in zip(kinds, optimizers, saved, strict=True):
        names, groups = each["names"], each["state"]["param_groups"]
        here = parameter_names(net, optimizer)
        if names != here or [len(group["params"]) for group in groups] != [len(group) for group in here]:
            raise CheckpointError(
                f"the parameter groups of {kind} hold other parameters in the checkpoint than here, or in another "
                f"order: {_first_difference(names, here)}. Nothing was changed"
            )
        numbers = [number for group in groups for number in group["params"]]
        flat = [name for group in here for name in group]
        shapes = {number: content["net"][name].shape for number, name in zip(numbers, flat, strict=True) if name}
        for number, state in each["state"]["state"].items():
            if number not in numbers:
                raise CheckpointError(
                    f"{kind} has state for a parameter {number!r} that it has not; the file is damaged"
                )
            if number in shapes:
                check_state(optimizer, flat[numbers.index(number)], shapes[number], state)


def _first_difference(saved: list[list[str]], here: list[list[str]]) -> str:
    if len(saved) != len(here):
        return f"{len(saved)} groups there and {len(here)} here"
    number = next(number for number, (one, other) in enumerate(zip(saved, here, strict=True)) if one != other)
    there = next((one for one in saved[number] if one not in here[number]), f"{len(saved[number])} parameters")
    return f"group {number} has {there!r} there, and {len(here[number])} parameters here"


def _check_extra(name: str, value: Any, saved: Mapping[str, Any]) -> None:
    kind = type(value).__name__
    if not isinstance(value, torch.Generator) and not hasattr(value, "load_state_dict"):
        raise InputError(f"{name} is a {kind}, which has no state to restore: plain values are returned by this call")
    if name not in saved:
        raise CheckpointError(f"the checkpoint has nothing named {name}, only {', '.join(saved) or 'nothing extra'}")
    if saved[name]["kind"] != kind:
        raise CheckpointError(f"{name} is a {saved[name]['kind'] or 'plain value'} in the checkpoint and a {kind} here")
    if isinstance(value, nn.Module):
        check_module(value, saved[name]["state"], name)


def _load_together(targets: list[Any], states: Mapping[int, Any]) -> None:
    """Loads all of them, or none if one refuses its state."""
    before = [copy.deepcopy(_state_of(target)) for target in targets]
    for number, target in enumerate(targets):
        try:
            _load(target, states[id(target)])
        except Exception as error:
            for done, state in zip(targets[: number + 1], before, strict=False):
                _load(done, state)
            raise CheckpointError(
                f"the {type(target).__name__} here does not take what was saved: {error}. Nothing was changed"
            ) from error


def _state_of(value: Any) -> Any:
    return value.get_state() if isinstance(value, torch.Generator) else value.state_dict()


def _load(target: Any, state: Any) -> None:
    if isinstance(target, torch.Generator):
        target.set_state(state)
    else:
        target.load_state_dict(state)
    if isinstance(target, torch.optim.Optimizer):
        _as_saved(target, state)


def _as_saved(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Undoes that torch casts numbers to the type of their parameter: NAdam's product of momenta is a float32."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    for number, parameter in zip(numbers, parameters, strict=True):
        for key, value in state["state"].get(number, {}).items():
            if isinstance(value, Tensor):
                loaded = optimizer.state[parameter][key]
                optimizer.state[parameter][key] = value.to(loaded.device) if value.dtype != loaded.dtype else loaded


def state_of(value: Any) -> dict[str, Any]:
    """What is saved of an extra value: its state, and of which class it is; no class for plain values."""
    if isinstance(value, torch.Generator) or hasattr(value, "state_dict"):
        return {"kind": type(value).__name__, "state": _state_of(value)}
    return {"kind": None, "state": value}


def random_state() -> dict[str, Any]:
    """The state of the random number generators of torch, numpy and Python."""
    legacy: Any = np.random.get_state()
    kind, keys, *rest = legacy
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    numpy = (kind, torch.from_numpy(keys.astype(np.int64)), *rest)
    return {"torch": torch.get_rng_state(), "gpus": gpus, "numpy": numpy, "python": random.getstate()}


def _check_random(state: Mapping[str, Any]) -> None:
    """Tries the states on generators of no importance."""
    try:
        torch.Generator().set_state(state["torch"])
        np.random.RandomState().set_state(_for_numpy(state))
        random.Random().setstate(state["python"])
        assert all(isinstance(gpu, Tensor) for gpu in state["gpus"])
    except Exception as error:
        raise CheckpointError(f"the checkpoint's states of random number generators do not fit: {error}") from error


def _set_random(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    np.random.set_state(_for_numpy(state))
    random.setstate(state["python"])
    if torch.cuda.is_available() and len(state["gpus"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["gpus"])


def _for_numpy(state: Mapping[str, Any]) -> tuple[Any, ...]:
    kind, keys, *rest = state["numpy"]
    return (kind, keys.numpy().astype(np.uint32), *rest)
