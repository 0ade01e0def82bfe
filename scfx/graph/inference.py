"""Runs the rule table over both graphs of a program: the dims of every value, the sinks, and each pin's reason."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from scfx.capture.program import MODES, Mode, Program
from scfx.nodes.quantizer import Quantizer
from scfx.signatures import lookup, name_of
from scfx.signatures.call import Call, Dims, bind
from scfx.signatures.pattern import SignatureError
from scfx.signatures.record import Operator
from scfx.terms.dims import Pin, Var, product
from scfx.terms.facts import Mask, Zeros
from scfx.terms.symbolic import shape_text
from scfx.terms.unify import SizeMismatchError, fresh, pin, unify

#: What a node makes: the dims of one tensor, of several, or nothing that has dims.
Value = Dims | tuple[Dims, ...] | None


#: Of one node, what was known to be zero in its operands, and in what it makes.
Made = Zeros | tuple[Zeros, ...]
Remembered = tuple[tuple[Zeros, ...], Made]

#: The same, and what gets nothing through at each of its sinks.
RememberedSinks = tuple[tuple[Zeros, ...], Mapping[str, Mask | None]]


@dataclass
class Passed:
    """A pass of zeros over one graph.

    Attributes:
        start: What was known to be zero in the parameters and buffers, and in what quantizers make, node by node.
        found: What is zero in what each node makes, by node name.
        quiet: For each axis, the channels that get nothing through at any sink, once that has been asked for.
    """

    start: tuple[Made, ...]
    found: dict[str, Made]
    quiet: dict[Var, Mask] | None = None


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
        passes: For each mode, the last passes of zeros, for one that starts from the same.
        memory: For each mode and node name, what the last passes of zeros have found, for the next one to go on from.
        quiet: The same for the sinks of each node.
    """

    state: dict[str, Dims] = field(default_factory=dict)
    values: dict[Mode, dict[str, Value]] = field(default_factory=dict)
    steps: dict[Mode, list[Step]] = field(default_factory=dict)
    mutated: set[str] = field(default_factory=set)
    troubles: list[Trouble] = field(default_factory=list)
    passes: dict[Mode, list[Passed]] = field(default_factory=lambda: {mode: [] for mode in MODES})
    memory: dict[Mode, dict[str, list[Remembered]]] = field(default_factory=lambda: {mode: {} for mode in MODES})
    quiet: dict[fx.Node, list[RememberedSinks]] = field(default_factory=dict)


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
        walk = _Walk(result, program, mode, None if outputs is None else outputs[mode])
        for node in program.graphs[mode].nodes:
            walk.values[node.name] = getattr(walk, node.op)(node)
    return result


class _Walk:
    """Visits the nodes of one graph; one method for each kind of node, which returns what the node makes."""

    def __init__(self, result: Inference, program: Program, mode: Mode, outputs: Set[int] | None) -> None:
        self.result, self.program, self.mode, self.outputs = result, program, mode, outputs
        self.values = result.values.setdefault(mode, {})
        self.steps = result.steps.setdefault(mode, [])
        self.inputs = iter(program.call.input_names)

    def placeholder(self, node: fx.Node) -> Value:
        because = Pin(f"model input {next(self.inputs)}", node.name)
        shape = node.meta.get("shape")
        return None if shape is None else tuple(fresh(size, because) for size in shape)

    def get_attr(self, node: fx.Node) -> Value:
        shape = node.meta.get("shape")
        if shape is None:
            return None
        state, name = self.result.state, str(node.target)
        if name not in state:
            state[name] = tuple(map(fresh, shape))
        return state[name]

    def output(self, node: fx.Node) -> Value:
        names = self.program.call.output_names[self.mode]
        for position, leaf in enumerate(node.args[0]):  # type: ignore[arg-type]  # an output's argument is a sequence
            if isinstance(leaf, fx.Node) and (self.outputs is None or position in self.outputs):
                because = Pin(f"model output {names[position]}".rstrip(), leaf.name)
                for dim in (dim for dims in tensors(self.values[leaf.name]) for dim in dims):
                    pin(dim, because)
        return None

    def call_module(self, node: fx.Node) -> Value:
        """A quantizer: what it makes is like its weight; its own tensors have an entry for each output channel."""
        name = str(node.target)
        quantizer = self.program.root.get_submodule(name)
        assert isinstance(quantizer, Quantizer)
        (dims,) = tensors(self.values[node.all_input_nodes[0].name])
        made = product(*(dims[dim] for dim in quantizer.dims))
        if quantizer.bits.numel() != made.size:
            groups = fresh(quantizer.bits.numel() // made.size)
            unify(dims[0], product(groups, fresh(dims[0].size // groups.size)), Pin("quantizer", node.name))
            made = product(groups, made)
        for part in ("bits", "exponent", "dead"):
            self.result.state.setdefault(f"{name}.{part}", (made,))
        return dims

    def call_function(self, node: fx.Node) -> Value:
        shape = node.meta.get("shape")
        if node.target is operator.getitem:
            source, index = node.args
            made = self.values[source.name]  # type: ignore[union-attr, index]
            return made[index] if made is not None else None  # type: ignore[index, return-value]
        if shape is None:
            return None  # sizes and numbers: they follow from tensors, they aren't tensors
        call = _bound(node, shape, self.values)
        self._analyse(call)
        return call.results if isinstance(shape, list) else call.results[0]

    def _analyse(self, call: Call) -> None:
        """Runs the operator's rule; where there is none, or it doesn't fit, pins what the call touches."""
        record = lookup(_functional(self.result, call.node))
        reason = "no rule"
        if record is not None:
            try:
                found = record.for_call(call)
                call.results = found.infer(call)
                _check(call)
                self.steps.append(Step(call, found))
                return
            except (SignatureError, SizeMismatchError) as error:
                reason = str(error)
            except Exception as error:  # a rule that breaks costs its operator compression, never the user the analysis
                reason = f"the rule failed: {type(error).__name__}: {error}"
        self.result.troubles.append(Trouble(call.target, call.node.name, module_path(call.node), reason))
        because = call.because(f"unknown operator {call.target}" if record is None else f"{call.target}: {reason}")
        for dim in (dim for dims in call.operands.values() for dim in dims):
            pin(dim, because)
        call.results = tuple(tuple(fresh(size, because) for size in shape) for shape in call.result_shapes)


def _bound(node: fx.Node, shape: Any, values: Mapping[str, Value]) -> Call:
    """The call of a node, its arguments by the names of the operator's schema."""
    shapes = tuple(map(tuple, shape)) if isinstance(shape, list) else (tuple(shape),)
    if isinstance(node.target, torch._ops.OpOverload):
        arguments: Mapping[Any, Any] = bind(node.target, node.args, node.kwargs)
    else:
        arguments = dict(enumerate(node.all_input_nodes))
    return Call(node, name_of(node.target), arguments, _operands(arguments, values), shapes)


def tensors(value: Value) -> tuple[Dims, ...]:
    """The dims of each tensor in a value."""
    if not value:
        return ()
    return value if isinstance(value[0], tuple) else (value,)


def _functional(result: Inference, node: fx.Node) -> object:
    """The functional form of an operator that writes to a buffer in place, whose values can't be relied on then."""
    target = node.target
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

    def add(name: str, node: fx.Node) -> None:
        if isinstance(node.meta.get("shape"), (tuple, torch.Size)):
            operands[name] = values[node.name]  # type: ignore[assignment]

    for name, value in arguments.items():
        if isinstance(value, fx.Node):
            add(str(name), value)
        elif (
            isinstance(value, (list, tuple)) and value and not isinstance(value[0], int)
        ):  # sizes and indices may be many
            for index, item in enumerate(value):
                if isinstance(item, fx.Node):
                    add(f"{name}[{index}]", item)
    return operands


def _check(call: Call) -> None:
    """A rule whose result does not have the recorded shape is wrong."""
    for dims, shape in zip(call.results, call.result_shapes, strict=True):
        sizes = tuple([dim.size for dim in dims])
        if sizes != shape:
            made, given = shape_text(sizes), shape_text(shape)
            raise SizeMismatchError(f"the rule makes the shape {made}, the operator makes {given}")
