"""Runs the rule table over both graphs of a program: the dims of every value, the sinks, and every pin with its reason."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from scfx.dims import Dim, Pin, product
from scfx.program import MODES, Mode, Program
from scfx.quantizer import Quantizer
from scfx.signatures import lookup, name_of
from scfx.signatures.call import Call, Dims, bind
from scfx.signatures.pattern import SignatureError
from scfx.signatures.record import Operator
from scfx.unify import SizeMismatchError, fresh, pin, unify

#: What a node makes: the dims of one tensor, of several, or nothing that has dims.
Value = Dims | tuple[Dims, ...] | None


@dataclass(frozen=True)
class Trouble:
    """An operator that could not be analysed, and so pins what it touches.

    Attributes:
        target: Its qualified name.
        node, module: Where it stands in the graph and in the model.
        reason: "no rule", or how the rule failed to fit.
    """

    target: str
    node: str
    module: str
    reason: str


@dataclass
class Step:
    """One analysed call, with the record that analysed it."""

    call: Call
    record: Operator


@dataclass
class Inference:
    """What the analysis knows.

    Attributes:
        state: The dims of each parameter and buffer that a graph uses, by state-dict name.
        values: For each mode and node name, the dims of what the node makes.
        steps: For each mode, the analysed calls in order.
        mutated: Buffers that the graphs write to by in-place operators.
        troubles: Operators without a rule, or whose rule did not fit.
    """

    state: dict[str, Dims] = field(default_factory=dict)
    values: dict[Mode, dict[str, Value]] = field(default_factory=dict)
    steps: dict[Mode, list[Step]] = field(default_factory=dict)
    mutated: set[str] = field(default_factory=set)
    troubles: list[Trouble] = field(default_factory=list)


def module_path(node: fx.Node) -> str:
    """The path of the module whose forward made this node; "" for the model itself."""
    stack = node.meta.get("nn_module_stack") or {}
    return str(list(stack.values())[-1][0]) if stack else ""


def infer(program: Program, outputs: Mapping[Mode, Set[int]] | None = None) -> Inference:
    """Infers the dims of every value of both graphs.

    Args:
        program: The captured model. It is not changed.
        outputs: For each mode, the positions of the output leaves that must keep their shape; None: all of them.
    """
    result = Inference()
    for mode in MODES:
        result.values[mode] = {}
        result.steps[mode] = []
        for node in program.graphs[mode].nodes:
            result.values[mode][node.name] = _visit(result, program, mode, node, None if outputs is None else outputs[mode])
    return result


def _visit(result: Inference, program: Program, mode: Mode, node: fx.Node, outputs: Set[int] | None) -> Value:
    values = result.values[mode]
    shape = node.meta.get("shape")
    if node.op == "placeholder":
        if shape is None:
            return None
        return tuple(fresh(size, Pin(f"model input {node.name}", node.name)) for size in shape)
    if node.op == "get_attr":
        if shape is None:
            return None
        name = str(node.target)
        if name not in result.state:
            result.state[name] = tuple(fresh(size) for size in shape)
        return result.state[name]
    if node.op == "output":
        for position, leaf in enumerate(node.args[0]):  # type: ignore[arg-type]
            if isinstance(leaf, fx.Node) and (outputs is None or position in outputs):
                for dims in _tensors(values[leaf.name]):
                    for dim in dims:
                        pin(dim, Pin("model output", leaf.name))
        return None
    if node.op == "call_module":
        dims = values[node.all_input_nodes[0].name]
        _quantizer(result, program, node, dims)  # type: ignore[arg-type]
        return dims
    if node.target is operator.getitem:
        source, index = node.args
        made = values[source.name]  # type: ignore[union-attr]
        return made[index] if made is not None else None  # type: ignore[index, return-value]
    return _call(result, mode, node)


def _quantizer(result: Inference, program: Program, node: fx.Node, dims: Dims) -> None:
    """A quantizer's own tensors have one entry for each output channel of the weight, group by group."""
    name = str(node.target)
    quantizer = program.root.get_submodule(name)
    assert isinstance(quantizer, Quantizer)
    channels, at = quantizer.bits.numel(), quantizer.dim
    made = dims[at]
    if channels != made.size:
        groups = fresh(channels // made.size)
        unify(dims[0], product(groups, fresh(dims[0].size // groups.size)), Pin("quantizer", node.name))
        made = product(groups, made)
    for part in ("bits", "exponent", "dead"):
        result.state.setdefault(f"{name}.{part}", (made,))


def _tensors(value: Value) -> tuple[Dims, ...]:
    """The dims of each tensor in a value."""
    if not value:
        return ()
    return value if isinstance(value[0], tuple) else (value,)  # type: ignore[return-value]


def _call(result: Inference, mode: Mode, node: fx.Node) -> Value:
    values, shape = result.values[mode], node.meta.get("shape")
    if shape is None:
        return None  # sizes and numbers: they follow from tensors, they aren't tensors
    target = node.target
    several = isinstance(shape, list)
    shapes: tuple[tuple[int, ...], ...] = tuple(map(tuple, shape)) if several else (tuple(shape),)
    arguments = bind(target, node.args, node.kwargs) if isinstance(target, torch._ops.OpOverload) else {}
    operands = _operands(arguments, values) if arguments else _operands(dict(enumerate(node.all_input_nodes)), values)
    call = Call(node, name_of(target), arguments, operands, shapes)
    record = lookup(_functional(result, target, node))
    reason = None
    if record is None or not arguments:
        reason = "no rule"
    else:
        try:
            found = record.for_call(call)
            call.results = found.infer(call)
            _check(call)
            result.steps[mode].append(Step(call, found))
        except (SignatureError, SizeMismatchError) as error:
            reason = str(error)
    if reason is not None:
        result.troubles.append(Trouble(call.target, node.name, module_path(node), reason))
        why = call.because(f"unknown operator {call.target}" if reason == "no rule" else f"{call.target}: {reason}")
        for dims in operands.values():
            for dim in dims:
                pin(dim, why)
        call.results = tuple(tuple(fresh(size, why) for size in one) for one in shapes)
    return call.results if several else call.results[0]


def _functional(result: Inference, target: Any, node: fx.Node) -> object:
    """The functional form of an operator that writes to a buffer in place; the buffer's values can't be relied on then."""
    if not isinstance(target, torch._ops.OpOverload) or not target._schema.is_mutable or not node.args:
        return target
    written = node.args[0]
    if target._schema.name.endswith("_") and isinstance(written, fx.Node) and written.op == "get_attr":
        result.mutated.add(str(written.target))
        name, overload = target._schema.name.removeprefix("aten::").rstrip("_"), target._overloadname
        packet = getattr(torch.ops.aten, name, None)
        return getattr(packet, overload, target) if packet is not None else target
    return target


def _operands(arguments: Mapping[Any, Any], values: Mapping[str, Value]) -> dict[str, Dims]:
    operands: dict[str, Dims] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, fx.Node) and isinstance(value.meta.get("shape"), (tuple, torch.Size)):
            operands[name] = values[value.name]  # type: ignore[assignment]

    for name, value in arguments.items():
        add(str(name), value)
        if isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                add(f"{name}[{index}]", item)
    return operands


def _check(call: Call) -> None:
    """A rule whose result does not have the recorded shape is wrong."""
    for dims, shape in zip(call.results, call.result_shapes, strict=True):
        sizes = tuple(dim.size for dim in dims)
        if sizes != shape:
            raise SizeMismatchError(f"the rule makes the shape {sizes}, the operator makes {shape}")


def every_dim(result: Inference) -> list[tuple[str, int, Dim]]:
    """Each dimension of each parameter and buffer: name, dimension, dim."""
    return [(name, index, dim) for name, dims in result.state.items() for index, dim in enumerate(dims)]
