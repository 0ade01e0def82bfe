"""The values of some nodes of a graph for some inputs, for what is the same for any."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from scfx.capture.calling import CallSpec, InputLeaf
from scfx.capture.program import Mode, Program
from scfx.capture.twin import same_random_state
from scfx.capture.variations import STEPS
from scfx.errors import InputError


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps the values of some nodes."""

    def __init__(self, root: nn.Module, graph: fx.Graph, names: Collection[str]) -> None:
        super().__init__(root, graph=graph)
        self.names = names
        self.found: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self.names:
            self.found[n.name] = result.detach().clone()
        return result


def values_of(program: Program, mode: Mode, names: Collection[str]) -> list[dict[str, Tensor]]:
    """Runs one graph on random inputs and returns the values of some nodes: in two calls that share no free size.

    Nothing of the program changes: what the graph writes to is a copy.

    Raises:
        InputError: no other sizes than those at capture were found.
        Exception: whatever an operator raises that does not take such inputs.
    """
    root = copy.deepcopy(program.root)
    device = next((parameter.device for parameter in root.parameters()), torch.device("cpu"))
    found = []
    with torch.no_grad(), same_random_state(root, 0):
        for leaves in _calls(program.call, device):
            recorder = _Recorder(root, program.graphs[mode], names)
            recorder.run(*leaves)
            found.append(recorder.found)
    return found


def _calls(call: CallSpec, device: torch.device) -> list[list[Any]]:
    """The leaves of a call with the sizes at capture, and of one with other sizes, if any are free."""
    first = [_some(leaf, 0, device) for leaf in call.inputs]
    if all(size is not None for leaf in call.inputs for size in leaf.shape or ()):
        return [first]
    for step in STEPS:
        other = [_some(leaf, step, device) for leaf in call.inputs]
        arguments = pytree.tree_unflatten(other, call.in_spec)
        if all(guard.holds(arguments) for guard in call.guards):
            return [first, other]
    raise InputError("there are no other sizes like those of the example on which it could be tried")


def _some(leaf: InputLeaf, step: int, device: torch.device) -> Any:
    """Some value for an input, with every free size changed by `step`."""
    if leaf.shape is None or leaf.dtype is None:
        return leaf.value
    pairs = zip(leaf.shape, leaf.example, strict=True)
    shape = [max(1, known + step) if size is None else size for size, known in pairs]
    if leaf.dtype.is_floating_point or leaf.dtype.is_complex:
        return torch.randn(shape, dtype=leaf.dtype, device=device)
    return torch.zeros(shape, dtype=leaf.dtype, device=device)
