"""Capture: a module and example inputs to one set of parameters and two ATen graphs, checked against the original."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from typing import Any

import torch
from torch import fx, nn
from torch.export import Dim, ExportedProgram
from torch.utils import _pytree as pytree

from scfx.calling import CallSpec, InputLeaf, split_example
from scfx.errors import InputError
from scfx.leaves import names_of, register_dataclasses
from scfx.program import MODES, Mode, Program
from scfx.quiet import quiet
from scfx.sanity import check_inputs, check_model, on_meta
from scfx.selfcheck import check_program
from scfx.sizes import Primes, annotate, frozen_lines, is_free, symbol_of
from scfx.source import user_line
from scfx.twin import bare, own_copy, same_random_state, twin
from scfx.unlift import drop_regions, unlift
from scfx.untraceable import explain_failure


def capture(model: nn.Module, example_inputs: object, *, check: bool = True) -> Program:
    """Capture `model` as graphs that share one set of parameters and that hold for any batch size.

    Args:
        model: The module to capture. It is copied: its parameters, buffers, flags and the random state stay as they
            are.
        example_inputs: A tensor, a tuple of positional arguments or a dict of keyword arguments. Dimension 0 of every
            tensor is taken for the batch. An example of one sample is doubled, as export takes a size of 1 to be fixed.
        check: Compare both graphs with the original, on the example inputs and on one more sample. Without values, on
            the meta device, there is nothing to compare and so no check.

    Raises:
        ModelError: It is not a module, has no parameters, or holds NaN or infinite weights.
        InputError: The example inputs do not fit the model, or lie on another device.
        CaptureError: The model cannot be traced, or the captured graphs do not compute what it computes.
    """
    from scfx.passes.mutations import mutated_buffers
    from scfx.passes.normalize import normalize  # here, as passes import from scfx

    check_model(model)
    args, kwargs = split_example(example_inputs)
    CallSpec.of(model.forward, args, kwargs)
    args, kwargs = _unaliased((args, kwargs))
    call = CallSpec.of(model.forward, args, kwargs)
    check_inputs(model, call.inputs, call.flatten(args, kwargs))
    with same_random_state(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        original = own_copy(model)
        args, kwargs = _fitting_example(original, args, kwargs)
        call = CallSpec.of(model.forward, args, kwargs)
        root = bare(original)
        graphs: dict[Mode, fx.Graph] = {}
        frozen: list[str] = []
        for mode in MODES:
            exported = _export(original, mode, args, kwargs)
            call.out_specs[mode] = exported.call_spec.out_spec
            call.output_names[mode] = names_of(call.out_specs[mode])
            graphs[mode] = unlift(exported, root, call)
            frozen.extend(line for line in frozen_lines(graphs[mode]) if line not in frozen)
            call.inputs = _freed(call.inputs, graphs[mode], exported, first=mode == MODES[0])
        written = set().union(*(mutated_buffers(graph, root) for graph in graphs.values()))
        for graph in graphs.values():
            normalize(graph, root, mutable=written)
        drop_regions(root, list(graphs.values()))
        primes = Primes(graphs)
        for mode, graph in graphs.items():
            annotate(graph, root, mode, primes)
        program = Program(root, graphs, call)
        if check and not on_meta(model):
            check_program(program, original, args, kwargs, frozen)
    return program


def _export(original: nn.Module, mode: Mode, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ExportedProgram:
    """Export a twin of `original` in `mode`, with dimension 0 of each input free where the model allows it."""
    module = twin(original).train(mode == "train")
    _name_extra_keywords(module, kwargs)
    try:
        with quiet():
            return torch.export.export(
                module, args, kwargs, dynamic_shapes=_free_batch(module, args, kwargs), strict=False
            )
    except Exception as error:
        raise explain_failure(error, original, mode, args, kwargs) from error


def _free_batch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return export's description of which sizes are free: dimension 0 of every tensor, if the model agrees."""
    arguments = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    free: dict[str, Any] = pytree.tree_map(
        lambda leaf: {0: Dim.AUTO} if isinstance(leaf, torch.Tensor) and leaf.ndim else None, dict(arguments)
    )
    return free


def _name_extra_keywords(module: nn.Module, kwargs: dict[str, Any]) -> None:
    """Give `module` a forward that names the keywords which its own takes as `**kwargs`: export confuses those."""
    forward = module.forward
    parameters = inspect.signature(forward).parameters
    named = [parameter for parameter in parameters.values() if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    extra = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in kwargs if name not in parameters]
    if not extra:
        return

    def explicit(*args: Any, **keywords: Any) -> Any:
        return forward(*args, **keywords)

    explicit.__signature__ = inspect.Signature([*named, *extra])  # type: ignore[attr-defined]
    module.forward = explicit


def _unaliased(tree: Any) -> Any:
    """Return `tree` with every tensor cloned: export merges two inputs that are one tensor into one input."""
    return pytree.tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf, tree)


def _fitting_example(
    original: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the example, doubled if it is one sample and the model takes two; raise InputError if it takes neither."""
    tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.ndim]
    if tensors and all(leaf.shape[0] == 1 for leaf in tensors):
        double = pytree.tree_map(
            lambda leaf: torch.cat([leaf, leaf]) if isinstance(leaf, torch.Tensor) and leaf.ndim else leaf,
            (args, kwargs),
        )
        if _failure(original, *double) is None:
            return double  # type: ignore[no-any-return]
    error = _failure(original, args, kwargs)
    if error is not None:
        raise InputError(f"the model itself fails on the example inputs{user_line(error)}: {error}") from error
    return args, kwargs


def _failure(original: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception | None:
    """Return what goes wrong when a twin of `original` is called in both modes; make its outputs known to pytree."""
    module = twin(original)
    try:
        with torch.no_grad():
            for mode in MODES:
                register_dataclasses(module.train(mode == "train")(*_unaliased(args), **_unaliased(kwargs)))
    except Exception as error:
        return error
    return None


def _freed(
    inputs: tuple[InputLeaf, ...], graph: fx.Graph, exported: ExportedProgram, first: bool
) -> tuple[InputLeaf, ...]:
    """Return `inputs` with the sizes that are free in `graph`, and free already unless this is the `first` graph."""
    freed = []
    for leaf, node in zip(inputs, (node for node in graph.nodes if node.op == "placeholder"), strict=True):
        value = node.meta.get("val")
        if leaf.shape is None or not isinstance(value, torch.Tensor):
            freed.append(leaf)
            continue
        shape: list[int | None] = []
        limits = list(leaf.limits)
        for dim, (known, size) in enumerate(zip(leaf.shape, value.shape, strict=True)):
            free = is_free(size) and (first or known is None)
            shape.append(None if free else known if known is not None else int(size))
            limits.extend(limit for limit in (_limit(dim, size, exported) if free else ()) if limit not in limits)
        freed.append(dataclasses.replace(leaf, shape=tuple(shape), limits=tuple(limits)))
    return tuple(freed)


def _limit(dim: int, size: int | torch.SymInt, exported: ExportedProgram) -> tuple[tuple[int, int, int | None], ...]:
    """Return the sizes for which the export holds. At least 2 is what export assumes of any size and says nothing."""
    bounds = exported.range_constraints.get(symbol_of(size))
    if bounds is None:
        return ()
    smallest = int(bounds.lower) if bounds.lower.is_Integer else 0
    largest = int(bounds.upper) if bounds.upper.is_Integer else None
    return ((dim, smallest, largest),) if smallest > 2 or largest is not None else ()
