"""A sample as the analysis sees it: a graph of one call whose operands are free, and what inference says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload
from torch.utils import _pytree as pytree

import scfx.nodes.counted
from scfx.capture.calling import CallSpec
from scfx.capture.program import Program
from scfx.graph.inference import Inference, Step, infer
from scfx.removal.zero_facts import tensor_zeros
from scfx.removal.zeros import forward_zeros, removable
from scfx.signatures.call import Dims, bind, unbound
from scfx.signatures.record import Replacement
from scfx.signatures.resizing import Scaled
from scfx.terms.dims import Concat, Dim, Take, Var, resolve, variables
from scfx.terms.facts import Mask, Zeros, unknown
from tests.signatures.samples import Operand, Sample, is_symbolic, overload, real

assert scfx.nodes.counted.IMPLEMENTATIONS


@dataclass(frozen=True)
class Case:
    """One call in a graph, analysed.

    Attributes:
        node: The call's node.
        operands: The operands by the name of the node that fetches each.
        axes: The axes that may lose channels, by number.
    """

    sample: Sample
    program: Program
    node: fx.Node
    operands: Mapping[str, Operand]
    inference: Inference

    @property
    def step(self) -> Step:
        (step,) = self.inference.steps["train"]
        return step

    @property
    def results(self) -> tuple[Dims, ...]:
        """The dims of each result."""
        value = self.inference.values["train"][self.node.name]
        return cast("tuple[Dims, ...]", value if isinstance(self.node.meta["shape"], list) else (value,))

    @property
    def axes(self) -> dict[Var, int]:
        dims = [dim for group in (*self.inference.state.values(), *self.results) for dim in group]
        found = dict.fromkeys(v for dim in dims for v in variables(dim) if v.pin is None and not is_symbolic(v.size))
        return {axis: number for number, axis in enumerate(found)}

    def state_zeros(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Zeros]:
        """What is zero in the operands, in the sizes of the graph."""
        result = {}
        for name, tensor in tensors.items():
            found = tensor_zeros(tensor)
            shape = self.operands[name].shape
            facts = [unknown(n) if is_symbolic(n) else fact for n, fact in zip(shape, found.dims, strict=True)]
            result[name] = Zeros.of(facts, found.whole)
        return result

    def zeros(self, tensors: Mapping[str, Tensor]) -> tuple[Zeros, ...]:
        """What the record says is zero in each result."""
        state = self.state_zeros(tensors)
        found = forward_zeros(self.program, self.inference, "train", state.__getitem__, _no_quantizer)[self.node.name]
        return found if isinstance(found, tuple) else (found,)

    def removable(self, tensors: Mapping[str, Tensor], wanted: Mapping[Var, Mask]) -> dict[Var, Mask]:
        """For each axis, the channels that can go, as the record says, if only those go that are wanted gone."""
        state, kept = self.state_zeros(tensors), {axis: ~mask for axis, mask in wanted.items()}
        return removable(self.program, self.inference, self.axes, state.__getitem__, _no_quantizer, kept=kept)

    def run(self, tensors: Mapping[str, Tensor], change: Replacement | None = None) -> tuple[Tensor, ...]:
        """Runs the operator, with changed arguments if asked to. Complex results come as their two parts."""
        target = cast("OpOverload", self.node.target)
        arguments = bind(target, self.node.args, self.node.kwargs)
        if change is not None:
            arguments |= change.arguments
            target = overload(change.target) if change.target else target
        args, kwargs = pytree.tree_map(lambda value: _real(value, tensors), unbound(target, arguments))
        made = target(*args, **kwargs)
        return tuple(map(parts, made)) if isinstance(made, (tuple, list)) else (parts(made),)


def parts(tensor: Tensor) -> Tensor:
    """Complex numbers as pairs of real ones, along a dimension of their own behind the others."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _no_quantizer(name: str, zeros: Zeros) -> Zeros:
    raise AssertionError("samples have no quantizers")


def _real(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, Scaled):
        return _real(value.node, tensors) * value.numerator // value.denominator
    if isinstance(value, fx.Node):
        return real(value.meta["value"]) if "value" in value.meta else tensors[value.name]
    return real(value) if is_symbolic(value) else value


def case_of(sample: Sample) -> Case:
    """Builds the graph of a sample and analyses it."""
    graph = fx.Graph()
    operands: dict[str, Operand] = {}
    nodes: dict[int, fx.Node] = {}

    def node_of(value: Any) -> Any:
        if isinstance(value, Operand):
            if id(value) not in nodes:
                node = nodes[id(value)] = graph.get_attr(f"x{len(operands)}")
                node.meta.update(shape=value.shape, dtype=value.meta().dtype)
                operands[node.name] = value
            return nodes[id(value)]
        if is_symbolic(value):
            size = graph.call_function(torch.ops.aten.sym_size.int, (next(iter(nodes.values()), None), 0))
            size.meta.update(shape=None, dtype=None, value=value)
            return size
        return value

    args, kwargs = pytree.tree_map(node_of, (sample.args, sample.kwargs))
    node = graph.call_function(sample.target, args, kwargs)
    made = _made(sample)
    several = isinstance(made, (tuple, list))
    shapes = [tuple(one.shape) for one in made] if several else tuple(made.shape)
    node.meta.update(shape=shapes, dtype=[one.dtype for one in made] if several else made.dtype)
    graph.output(())
    empty = fx.Graph()
    empty.output(())
    program = Program(nn.Module(), {"train": graph, "eval": empty}, _NO_CALL)
    return Case(sample, program, node, operands, infer(program))


_NO_CALL = CallSpec.of(lambda: (), (), {})
_NO_CALL.output_names.update({"train": (), "eval": ()})


def _made(sample: Sample) -> Any:
    """What the operator makes: without values where the batch size is symbolic, as no tensor has so many elements."""
    symbolic = any(is_symbolic(size) for o in pytree.tree_leaves((sample.args, sample.kwargs)) for size in _sizes(o))
    generator = torch.Generator().manual_seed(0)

    def value(leaf: Any) -> Any:
        return leaf if not isinstance(leaf, Operand) else leaf.meta() if symbolic else leaf.draw(generator)

    args, kwargs = pytree.tree_map(value, (sample.args, sample.kwargs))
    if symbolic and "device" in {a.name for a in sample.target._schema.arguments}:
        kwargs["device"] = "meta"
    return sample.target(*args, **kwargs)


def _sizes(leaf: Any) -> tuple[Any, ...]:
    return leaf.shape if isinstance(leaf, Operand) else (leaf,)


def mask_of(dim: Dim, kept: Mapping[Var, Mask]) -> Mask:
    """The indices of a dim that stay, in the sizes that the operator is run with."""
    dim = resolve(dim)
    if isinstance(dim, Var):
        return kept.get(dim, np.ones(real(dim.size), bool))
    parts = [mask_of(part, kept) for part in dim.parts]
    if isinstance(dim, Take):
        return parts[0][list(dim.indices)]
    if isinstance(dim, Concat):
        return np.concatenate(parts) if parts else np.ones(0, bool)
    result = np.ones(1, bool)
    for part in parts:
        result = np.outer(result, part).reshape(-1)
    return result


def sliced(tensor: Tensor, dims: Dims, kept: Mapping[Var, Mask]) -> Tensor:
    """The part of a tensor that stays."""
    for index, dim in enumerate(dims):
        tensor = tensor.index_select(index, torch.from_numpy(np.flatnonzero(mask_of(dim, kept))))
    return tensor
