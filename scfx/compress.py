"""`scfx.compress` and `scfx.channel_graph`: the two doors into the house."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from torch import fx, nn

from scfx.capture.calling import split_example
from scfx.capture.capture import capture, doubled
from scfx.capture.program import MODES, Program
from scfx.capture.sanity import on_meta
from scfx.errors import InputError
from scfx.graph.branches import independent, merge_dims
from scfx.graph.channels import Axis, ChannelGraph
from scfx.graph.quantization import find_weights
from scfx.graph.selection import kept_dims, output_positions
from scfx.likeness import class_like
from scfx.module import CompressedModule
from scfx.nodes.quantizer import Quantizer
from scfx.passes.insert_quantizers import InsertQuantizers
from scfx.passes.separate_branches import SeparateBranches

__all__ = ["CompressedModule", "channel_graph", "compress"]


def channel_graph(
    model: nn.Module, example_inputs: object, dynamic: bool = True, train_as_eval: bool = False
) -> ChannelGraph:
    """Analyses which channels of a model live and die together. The model is left untouched.

    Args:
        model: Any module that `torch.export` can trace.
        example_inputs: A tensor, a tuple of positional arguments, or a dict of keyword arguments.
        dynamic: Whether lengths, heights and widths of the inputs stay free where the model allows it, as the batch
            size does in any case. Without, capture takes less time.
        train_as_eval: Whether to train on what the model computes in evaluation, dropout and norms as in training. For
            models that do something in training that cannot be captured; the error says when this helps.

    Raises:
        ModelError: The model is not a module, has no parameters, or holds NaN or infinite weights.
        InputError: The example inputs do not fit the model.
        CaptureError: The model cannot be captured; the message names the line and what could be captured instead.
    """
    return ChannelGraph(capture(model, example_inputs, dynamic=dynamic, train_as_eval=train_as_eval))


def compress(
    model: nn.Module,
    example_inputs: object,
    quantize: bool = True,
    keep: Iterable[str | nn.Module | Axis] | str | nn.Module | Axis = (),
    outputs: Iterable[str | int] | str | int | None = None,
    dynamic: bool = True,
    train_as_eval: bool = False,
    branches: bool = False,
) -> CompressedModule:
    """Makes a module that computes what the model computes and can lose channels while it trains.

    Args:
        model: Any module that `torch.export` can trace. It is left untouched.
        example_inputs: A tensor, a tuple of positional arguments, or a dict of keyword arguments.
        quantize: Whether every weight gets a quantizer with a learned bit depth for each output channel. Without,
            `prune()` removes channels that are zero already.
        keep: Parameters (by state-dict name), modules (by path, or the module itself) and axes that must not shrink.
        outputs: The outputs that matter, by path or position, when the model returns more: only they keep their shape.
        dynamic: Whether lengths, heights and widths of the inputs stay free where the model allows it, as the batch
            size does in any case. Without, capture takes less time. A size that is not free is refused when it differs.
        train_as_eval: Whether to train on what the model computes in evaluation, dropout and norms as in training. For
            models that do something in training that cannot be captured; the error says when this helps.
        branches: Whether a residual branch may lose channels that what it is added to keeps, and the other way round.
            They are dead at once; they are removed where an estimate of the work saved says that it is worth adding
            into some channels only.

    Raises:
        ModelError: The model is not a module, has no parameters, or holds NaN or infinite weights.
        InputError: The example inputs do not fit the model, or `outputs` is empty.
        CaptureError: The model cannot be captured; the message names the line and what could be captured instead.
        UnknownNameError: `keep` or `outputs` names something that the model doesn't have.
    """
    program = capture(model, example_inputs, dynamic=dynamic, train_as_eval=train_as_eval)
    if any(isinstance(module, nn.SyncBatchNorm) for module in model.modules()):
        warnings.warn(
            "SyncBatchNorm was captured as the batch norm that it is in one process: with several, each of them "
            "normalizes by its own samples",
            stacklevel=2,
        )
    kept = kept_dims(model, keep)
    positions = output_positions(program.call, outputs)
    if branches:
        _separate(program)
    if quantize:
        _quantize(program)
    kind = class_like(model, program.call)
    net = kind(program, kept, positions, attributes=_attributes(model))
    if quantize and not on_meta(model) and any(True for _ in net.quantizers()):
        args, kwargs = split_example(example_inputs)
        try:
            net.start_error = net.quantization_error(*args, **kwargs)
        except InputError:  # one sample alone is something else to this model, and was doubled for capture
            args, kwargs = doubled(args, kwargs)
            net.start_error = net.quantization_error(*args, **kwargs)
    return net


def _quantize(program: Program) -> None:
    """Gives every weight its quantizer, beside it in the tree of modules, and a node after it in both graphs."""
    uses = find_weights(ChannelGraph(program)).uses
    if not uses:
        warnings.warn(
            "no parameter of this model is the weight of an operator (a parametrized weight is computed from others), "
            "so there is nothing to quantize and net.size() stays 0: remove the parametrizations first, or pass "
            "quantize=False to remove only channels that are zero already",
            stacklevel=3,
        )
    for name, use in uses.items():
        path, _, attribute = use.quantizer.rpartition(".")
        weight = program.root.get_parameter(name)
        program.root.get_submodule(path).add_module(attribute, Quantizer(weight, use.dims, use.groups))
    insert = InsertQuantizers({name: use.quantizer for name, use in uses.items()})
    for mode in MODES:
        insert(program.graphs[mode], program.root)


def _separate(program: Program) -> None:
    """Lets residual branches have channels of their own, wherever nothing else ties them to what they are added to."""
    wanted = merge_dims(ChannelGraph(program))
    while any(wanted.values()):
        for mode in MODES:
            SeparateBranches(wanted[mode])(program.graphs[mode], program.root)
        found = independent(ChannelGraph(program))
        if found == wanted:
            return
        wanted = found
    for mode in MODES:
        SeparateBranches({})(program.graphs[mode], program.root)


def _attributes(model: nn.Module) -> dict[str, Any]:
    """What the model's own `__dict__` holds beside its state: trainers read things such as `config` there."""
    return {
        k: v
        for k, v in vars(model).items()
        if not k.startswith("_") and k != "training" and not isinstance(v, (nn.Module, fx.Node))
    }
