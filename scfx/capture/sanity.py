"""Is this a model to work with, and do the example inputs belong to it? Checked before anything else is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn

from scfx.capture.calling import InputLeaf
from scfx.errors import InputError, ModelError


def check_model(model: object) -> None:
    """Raise ModelError unless `model` is a module with finite parameters and names that a graph module can carry."""
    if not isinstance(model, nn.Module):
        hint = "; create an instance of it first" if isinstance(model, type) and issubclass(model, nn.Module) else ""
        raise ModelError(f"the model has to be a torch.nn.Module, not {_kind(model)}{hint}.")
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            "the model is a TorchScript module, whose Python source is gone. Give the module it was made from."
        )
    names = [name for name, _ in model.named_parameters()]
    if not names:
        raise ModelError(f"{_kind(model)} has no parameters, so there is nothing to compress.")
    lazy = [name for name, value in model.named_parameters() if isinstance(value, nn.UninitializedParameter)]
    if lazy:
        raise ModelError(
            f"parameter {lazy[0]!r} has no shape yet ({len(lazy)} such parameters): "
            "call the model once on an example so that its lazy modules learn their sizes."
        )
    for name in (*model._parameters, *model._buffers, *model._modules):
        if hasattr(fx.GraphModule, name):
            raise ModelError(
                f"the model has a member named {name!r}, a name that torch.fx.GraphModule keeps for itself. "
                "Rename it, or compress a submodule."
            )
    _check_finite(model)


def check_inputs(model: nn.Module, inputs: Sequence[InputLeaf], leaves: Sequence[Any]) -> None:
    """Raise InputError unless the flat inputs hold a tensor, no empty one, and all are where the parameters are."""
    if not any(isinstance(leaf, torch.Tensor) for leaf in leaves):
        raise InputError("example_inputs holds no tensor.")
    homes = {parameter.device for parameter in model.parameters()}
    for record, leaf in zip(inputs, leaves, strict=True):
        if not isinstance(leaf, torch.Tensor):
            if type(leaf).__module__ == "numpy" and hasattr(leaf, "dtype"):
                raise InputError(f"{record.name} is a numpy array. Give a tensor: torch.from_numpy({record.name}).")
            continue
        if leaf.numel() == 0:
            raise InputError(
                f"{record.name} is empty, shape {tuple(leaf.shape)}: the example needs at least one element."
            )
        if leaf.device not in homes and not (leaf.ndim == 0 and leaf.device.type == "cpu"):
            where = " and ".join(sorted(map(str, homes)))
            raise InputError(
                f"{record.name} is on {leaf.device} but the model is on {where}. Move one to the other, "
                f"for example {record.name}.to({str(next(iter(homes)))!r})."
            )


def on_meta(model: nn.Module) -> bool:
    """Say whether a parameter of `model` has a shape but no values."""
    return any(parameter.is_meta for parameter in model.parameters())


def _check_finite(model: nn.Module) -> None:
    """Raise ModelError if a parameter holds NaN or infinity: the first such parameter, and how much of it is bad."""
    bad: list[tuple[str, int, int]] = []
    for name, parameter in model.named_parameters():
        if parameter.is_meta or not (parameter.is_floating_point() or parameter.is_complex()):
            continue
        wrong = int((~torch.isfinite(parameter.detach())).sum())
        if wrong:
            bad.append((name, wrong, parameter.numel()))
    if bad:
        name, wrong, total = bad[0]
        others = f" and so do {len(bad) - 1} other parameters" if len(bad) > 1 else ""
        raise ModelError(
            f"parameter {name!r} holds NaN or infinite values, {wrong} of {total}{others}. "
            "Load good weights, or look for the training step that broke them."
        )


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
