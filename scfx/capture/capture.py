"""Capture: a module and example inputs to one set of parameters and two ATen graphs, checked against the original."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import warnings
from typing import Any

import torch
from sympy import Symbol
from torch import fx, nn
from torch._dynamo import config as dynamo_config
from torch.export import Dim, ExportedProgram
from torch.utils import _pytree as pytree

from scfx.capture.calling import CallSpec, InputLeaf, split_example
from scfx.capture.causality import masks_as_given
from scfx.capture.chance import Chance
from scfx.capture.equations import Equation, equations_of, multiples
from scfx.capture.finite import AllFinite
from scfx.capture.formulas import ShortFormulas
from scfx.capture.guards import Guard, frozen_places, guards_of
from scfx.capture.leaves import names_of, register_dataclasses
from scfx.capture.program import MODES, Mode, Program
from scfx.capture.quiet import quiet
from scfx.capture.sanity import check_inputs, check_model, on_meta
from scfx.capture.selfcheck import check_program
from scfx.capture.sizes import annotate, is_free
from scfx.capture.source import user_line
from scfx.capture.stand_ins import StandIns
from scfx.capture.twin import bare, drawn_outside_torch, own_copy, same_random_state, twin
from scfx.capture.twin import train_as_eval as twin_as_eval
from scfx.capture.unlift import drop_regions, unlift
from scfx.capture.untraceable import explain_failure
from scfx.capture.unvalidated import unvalidated
from scfx.errors import CaptureError, InputError


def capture(
    model: nn.Module, example_inputs: object, *, dynamic: bool = True, train_as_eval: bool = False, check: bool = True
) -> Program:
    """Capture `model` as graphs that share one set of parameters and that hold for any batch size, other sizes too.

    Args:
        model: The module to capture. It is copied: its parameters, buffers, flags and the random state stay as they
            are.
        example_inputs: A tensor, a tuple of positional arguments or a dict of keyword arguments. Dimension 0 of every
            tensor is taken for the batch. An example of one sample is doubled, as export takes a size of 1 to be fixed.
        dynamic: Whether every other size that the model leaves open stays open too, with the conditions that the model
            sets. Where that is more than export can do, or comes out wrong, only the batch size does.
        train_as_eval: Capture for training what the model does in evaluation, with dropout and norms as in training:
            for models that do something in training that no graph can hold.
        check: Compare both graphs with the original: on the example inputs, on one more sample, on one sample alone and
            on other sizes. Without values, on the meta device, there is nothing to compare and so no check.

    Warns:
        UserWarning: The model decides something by chance, of which the graph holds the likelier case only.

    Raises:
        ModelError: It is not a module, has no parameters, or holds NaN or infinite weights.
        InputError: The example inputs do not fit the model, or lie on another device.
        CaptureError: The model cannot be traced, or the captured graphs do not compute what it computes.
    """
    check_model(model)
    args, kwargs = split_example(example_inputs)
    CallSpec.of(model.forward, args, kwargs)
    args, kwargs = _unaliased((args, kwargs))
    call = CallSpec.of(model.forward, args, kwargs)
    check_inputs(model, call.inputs, call.flatten(args, kwargs))
    with same_random_state(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        original = own_copy(model)
        if train_as_eval:
            twin_as_eval(original)
        args, kwargs = _fitting_example(original, args, kwargs)
        program = None
        if dynamic:
            with contextlib.suppress(Exception):  # whatever it is: if it has nothing to do with sizes, it comes again
                program = _captured(original, args, kwargs, check, every_size=True)
        if program is None:
            program = _captured(original, args, kwargs, check, every_size=False)
    for note in program.notes:
        warnings.warn(note, stacklevel=3)
    if on_meta(model):
        program.notes += ("The model has no values (meta device), so the captured graphs were not compared with it.",)
    return program


def _captured(
    original: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], check: bool, every_size: bool
) -> Program:
    """Capture `original` with `every_size` of its inputs free where it allows that, or that of dimension 0."""
    from scfx.graph.tables import give_own_tables
    from scfx.passes.mutations import mutated_buffers
    from scfx.passes.normalize import normalize  # here, as passes import from scfx

    call = CallSpec.of(original.forward, args, kwargs)
    root = bare(original)
    graphs: dict[Mode, fx.Graph] = {}
    equations: dict[Mode, tuple[Equation, ...]] = {}
    divisors: dict[Mode, dict[Symbol, int]] = {}
    notes: dict[str, None] = {}
    for mode in MODES:
        exported, said = _export(original, mode, args, kwargs, every_size)
        notes.update(dict.fromkeys(said))
        call.out_specs[mode] = exported.call_spec.out_spec
        call.output_names[mode] = names_of(call.out_specs[mode])
        graph = graphs[mode] = unlift(exported, root, call)
        call.inputs = _freed(call.inputs, graph, first=mode == MODES[0])
        call.guards = tuple(dict.fromkeys((*call.guards, *guards_of(graph, call.input_names))))
        equations[mode] = equations_of(graph)
        found = multiples(equations[mode])
        if found is None and every_size:
            raise CaptureError("the sizes of the inputs have to meet equations for which there is no general solution.")
        divisors[mode] = found or {}
    call.guards = _needed(call)
    written = set().union(*(mutated_buffers(graph, root) for graph in graphs.values()))
    for graph in graphs.values():
        normalize(graph, root, mutable=written)
    drop_regions(root, list(graphs.values()))
    stand_ins = StandIns(graphs, divisors, equations)
    call.guards = tuple(dict.fromkeys((*call.guards, *stand_ins.assumed(call.input_names))))
    for mode, graph in graphs.items():
        annotate(graph, root, mode, stand_ins)
    program = Program(root, graphs, call, tuple(notes), stand_ins.examples)
    give_own_tables(program)
    if not on_meta(original) and check:
        check_program(program, original, args, kwargs)
    return program


def _export(
    original: nn.Module, mode: Mode, args: tuple[Any, ...], kwargs: dict[str, Any], every_size: bool
) -> tuple[ExportedProgram, tuple[str, ...]]:
    """Export a twin of `original` in `mode`, with `every_size` free that it leaves free, or the batch's alone.

    What the caller has to be told about the result comes with it.
    """
    module = twin(original).train(mode == "train")
    _name_extra_keywords(module, kwargs)
    free = _free_sizes(module, args, kwargs, every_size)
    try:
        # Export's cache of shapes costs more than it saves where sizes are symbols.
        uncached = dynamo_config.patch(fake_tensor_cache_enabled=False)
        short = ShortFormulas() if every_size else contextlib.nullcontext()
        with (
            quiet(),
            uncached,
            unvalidated(),
            masks_as_given(),
            short,
            drawn_outside_torch() as drawn,
            Chance() as chance,
            AllFinite() as finite,
        ):
            exported = torch.export.export(module, args, kwargs, dynamic_shapes=free, strict=False)
        said = "The model draws from {} in {} mode: the graph has what was drawn at capture."
        asked = "The model asks whether values are finite{}. The graph takes it that they are."
        return exported, (
            *map(str, chance.decisions),
            *(said.format(source, mode) for source in drawn),
            *map(asked.format, finite.places),
        )
    except Exception as error:
        if every_size:
            raise
        raise explain_failure(error, original, mode, args, kwargs) from error


def _free_sizes(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], every_size: bool) -> dict[str, Any]:
    """Return export's description of the sizes that are free if the model agrees: all, or those of dimension 0."""
    arguments = inspect.signature(module.forward).bind(*args, **kwargs).arguments

    def free(leaf: object) -> dict[int, Any] | None:
        if not isinstance(leaf, torch.Tensor) or not leaf.ndim:
            return None
        return {dim: Dim.AUTO for dim in range(leaf.ndim if every_size else 1) if leaf.shape[dim] > 1}

    described: dict[str, Any] = pytree.tree_map(free, dict(arguments))
    return described


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

    explicit.__signature__ = inspect.Signature([*named, *extra])  # type: ignore[attr-defined]  # inspect reads it
    module.forward = explicit


def _unaliased(tree: Any) -> Any:
    """Return `tree` with every tensor cloned: export merges two inputs that are one tensor into one input."""
    return pytree.tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf, tree)


def doubled(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a call with every sample twice."""
    twice: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_map(
        lambda leaf: torch.cat([leaf, leaf]) if isinstance(leaf, torch.Tensor) and leaf.ndim else leaf, (args, kwargs)
    )
    return twice


def _fitting_example(
    original: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the example, doubled if it is one sample and the model takes two; raise InputError if it takes neither."""
    tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.ndim]
    if tensors and all(leaf.shape[0] == 1 for leaf in tensors):
        double = doubled(args, kwargs)
        if on_meta(original) or _failure(original, *double) is None:
            return double
    # Without values a model that looks at some cannot be called, and still be captured.
    error = None if on_meta(original) else _failure(original, args, kwargs)
    if error is not None:
        hint = ""
        if _failure(original, args, kwargs, modes=("eval",)) is None:
            hint = (
                "\nThis happens in train mode only: give what the model takes in training too, such as targets, or "
                "compress a part of it."
            )
        raise InputError(f"the model itself fails on the example inputs{user_line(error)}: {error}{hint}") from error
    return args, kwargs


def _failure(
    original: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], modes: tuple[Mode, ...] = MODES
) -> Exception | None:
    """Return what goes wrong when a twin of `original` is called in `modes`; make its outputs known to pytree."""
    module = twin(original)
    try:
        with torch.no_grad():
            for mode in modes:
                register_dataclasses(module.train(mode == "train")(*_unaliased(args), **_unaliased(kwargs)))
    except Exception as error:
        return error
    return None


def _freed(inputs: tuple[InputLeaf, ...], graph: fx.Graph, first: bool) -> tuple[InputLeaf, ...]:
    """Return `inputs` with the sizes that are free in `graph`, and free already unless this is the `first` graph."""
    freed = []
    holders = [node for node in graph.nodes if node.op == "placeholder"]
    for leaf, node, places in zip(inputs, holders, frozen_places(graph), strict=True):
        value = node.meta.get("val")
        if leaf.shape is None or not isinstance(value, torch.Tensor):
            freed.append(leaf)
            continue
        shape = tuple(
            None if is_free(size) and (first or known is None) else known if known is not None else int(size)
            for known, size in zip(leaf.shape, value.shape, strict=True)
        )
        freed.append(dataclasses.replace(leaf, shape=shape, fixed=(*leaf.fixed, *places.items())))
    return tuple(freed)


def _needed(call: CallSpec) -> tuple[Guard, ...]:
    """Return the guards that say something of a free size, and that sizes beside the batch are taken to be above 1."""
    free = {(leaf.name, dim) for leaf in call.inputs for dim, size in enumerate(leaf.shape or ()) if size is None}
    plural = [Guard(f"{name}.shape[{dim}] >= 2") for name, dim in sorted(free) if dim > 0]
    return (*plural, *(guard for guard in call.guards if free & set(guard.sizes)))
