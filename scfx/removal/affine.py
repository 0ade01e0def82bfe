"""Nodes that do no more than multiply each channel and add to it, with numbers that stay: norms, scales, shifts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from scfx.passes.building import fetch
from scfx.passes.effects import updated_statistics, written
from scfx.signatures.call import bind

_aten = torch.ops.aten

#: Norms that may have a mean and variance of their own, and the argument that says that they take others.
_NORMS = {_aten.batch_norm.default: "training", _aten.instance_norm.default: "use_input_stats"}

_ARITHMETIC = (_aten.mul.Tensor, _aten.div.Tensor, _aten.add.Tensor, _aten.sub.Tensor)

#: Operators that give the same entries, in the same order, another shape.
_RESHAPES = {
    _aten.reshape.default,
    _aten.flatten.using_ints,
    _aten.unflatten.int,
    _aten.unsqueeze.default,
    _aten.squeeze.dim,
    _aten.squeeze.dims,
}


class Constants:
    """The tensors that a graph fetches and never changes, now that nothing trains any more.

    Args:
        graph: Of which each read is a node.
        root: What it fetches from.
    """

    def __init__(self, graph: fx.Graph, root: nn.Module) -> None:
        changed = {each for node in graph.nodes for each in (*written(node), *updated_statistics(node))}
        names = {str(node.target) for node in changed}
        self._held: dict[fx.Node, Tensor] = {}
        self._reads: dict[int, int] = {}
        for node in graph.find_nodes(op="get_attr"):
            held = fetch(root, str(node.target))
            if isinstance(held, Tensor):
                place = held.untyped_storage().data_ptr()
                self._reads[place] = self._reads.get(place, 0) + len(node.users)
                if str(node.target) not in names:
                    self._held[node] = held.detach()

    def get(self, node: object) -> Tensor | None:
        """What a node fetches, if nothing changes it."""
        return self._held.get(node) if isinstance(node, fx.Node) else None

    def read_once(self, node: fx.Node) -> bool:
        """Whether only one node reads what is fetched here, by whatever name it is."""
        return self._reads[self._held[node].untyped_storage().data_ptr()] == 1


@dataclass(frozen=True)
class Affine:
    """A node whose value is that of another one, times a factor, plus a shift.

    Attributes:
        node: The node.
        source: The other one, of the same shape.
        dim: Along which of its dims the numbers differ; None if they are the same everywhere.
        factor, shift: In float64, one for each index of this dim, or one.
    """

    node: fx.Node
    source: fx.Node
    dim: int | None
    factor: Tensor
    shift: Tensor

    @staticmethod
    def of(node: fx.Node, constants: Constants) -> Affine | None:
        """What a node does, if it does no more than this."""
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            return None
        if node.target in _NORMS:
            return _norm(node, bind(node.target, node.args, node.kwargs), constants)
        if node.target in _ARITHMETIC:
            return _arithmetic(node, bind(node.target, node.args, node.kwargs), constants)
        return None


def shape_of(node: object) -> tuple[int, ...]:
    """The recorded shape of a tensor; of anything else none."""
    shape = node.meta.get("shape") if isinstance(node, fx.Node) else None
    return tuple(shape) if isinstance(shape, tuple) else ()


def read_once(node: fx.Node) -> bool:
    """Whether the entries of a value have one reader; others may ask for its size."""
    return sum(user.target is not _aten.sym_size.int for user in node.users) == 1


def way_back(node: fx.Node, dim: int | None) -> tuple[fx.Node, int | None]:
    """Back past nodes that only move entries and have one reader: where the entries come from, and which dim it was."""
    while read_once(node) and (moved := _moved(node, dim)) is not None:
        node, dim = moved
    return node, dim


def _norm(node: fx.Node, given: Mapping[str, Any], constants: Constants) -> Affine | None:
    found = {name: constants.get(given[name]) for name in ("running_mean", "running_var", "weight", "bias")}
    mean, var, scale, shift = found.values()
    unknown = any(found[name] is None and given[name] is not None for name in found)
    if given[_NORMS[node.target]] is not False or unknown or mean is None or var is None:  # type: ignore[index]
        return None
    factor = (var.double() + float(given["eps"])).rsqrt()
    factor = factor if scale is None else factor * scale.double()
    return Affine(node, given["input"], 1, factor, (0 if shift is None else shift.double()) - mean.double() * factor)


def _arithmetic(node: fx.Node, given: Mapping[str, Any], constants: Constants) -> Affine | None:
    source, other = given["self"], given["other"]
    if node.target in (_aten.mul.Tensor, _aten.add.Tensor) and constants.get(source) is not None:
        source, other = other, source
    if not shape_of(node) or shape_of(source) != shape_of(node) or given.get("alpha", 1) != 1:
        return None
    found = _by_channel(other, shape_of(node), constants)
    if found is None:
        return None
    dim, values = found
    if node.target is _aten.mul.Tensor:
        return Affine(node, source, dim, values, torch.zeros_like(values))
    if node.target is _aten.div.Tensor:
        return Affine(node, source, dim, 1 / values, torch.zeros_like(values))
    return Affine(node, source, dim, torch.ones_like(values), values if node.target is _aten.add.Tensor else -values)


def _by_channel(value: object, shape: Sequence[int], constants: Constants) -> tuple[int | None, Tensor] | None:
    """Along which one of some dims a number or constant differs, None for none of them, and its numbers."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return None, torch.tensor([value], dtype=torch.float64)
    held = constants.get(value)
    if held is None or not held.is_floating_point() or held.ndim > len(shape):
        return None
    wide = [dim for dim, size in enumerate(held.shape, len(shape) - held.ndim) if size != 1]
    return (wide[0] if wide else None, held.reshape(-1).double()) if len(wide) < 2 else None


def _moved(node: fx.Node, dim: int | None) -> tuple[fx.Node, int | None] | None:
    """One step of `way_back`; None if the node does more, or the dim is not one before it."""
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return None
    given = bind(node.target, node.args, node.kwargs)
    source, rank = given.get("self"), len(shape_of(given.get("self")))
    if not isinstance(source, fx.Node) or not rank or not shape_of(node):
        return None
    if node.target is _aten.transpose.int:
        one, other = given["dim0"] % rank, given["dim1"] % rank
        return source, None if dim is None else {one: other, other: one}.get(dim, dim)
    if node.target is _aten.permute.default:
        return source, None if dim is None else int(given["dims"][dim]) % rank
    if node.target not in _RESHAPES:
        return None
    if dim is None:
        return source, None
    before, size = math.prod(shape_of(node)[:dim]), shape_of(node)[dim]
    own = shape_of(source)
    places = [place for place in range(rank) if own[place] == size and math.prod(own[:place]) == before]
    return (source, places[-1]) if places else None
