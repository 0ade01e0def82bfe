"""What is zero in the tensors of a program, as they are now or as if some of it had gone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import fx

from scfx.capture.program import MODES, Mode
from scfx.graph.channels import ChannelGraph
from scfx.graph.masks import over
from scfx.nodes.quantizer import Quantizer
from scfx.removal.zeros import Excused, GraphZeros, forward_zeros, removable
from scfx.terms.dims import Dim, Var
from scfx.terms.facts import Fact, Mask, Zeros, known, unknown

#: Entries of parameters, by state-dict name: one mask for the one dimension of each.
Entries = dict[str, Mask]

#: For some axes, the marked channels.
Channels = dict[Var, Mask]


class ZeroFacts:
    """What is zero in the tensors of a program, each read once.

    The weight behind a quantizer is zero where its quantizer has no bits left, and nowhere else: other zeros may yet
    become something else in training. For the same reason entries of a trained parameter count only on channels that
    are to go (`within`). Buffers that the model writes to by itself are never taken for zero.

    Args:
        graph: The channel graph of the program.
        final: Whether nothing trains any more, so that every zero stays one.
    """

    def __init__(self, graph: ChannelGraph, final: bool = False) -> None:
        self._graph = graph
        self._final = final
        self._root = graph._program.root
        self._zeros: dict[str, Zeros] = {}
        self._quantizers: dict[str, tuple[Mask, tuple[int, ...]]] = {}
        self._made: dict[str, Zeros] = {}
        self._tensors = {**dict(self._root.named_parameters()), **dict(self._root.named_buffers())}
        modules = (n for mode in MODES for n in graph._program.graphs[mode].nodes if n.op == "call_module")
        self.quantized = {
            str(node.args[0].target): str(node.target) for node in modules if isinstance(node.args[0], fx.Node)
        }

    def removable(
        self,
        within: Channels,
        assumed: Entries | None = None,
        modes: Sequence[Mode] = MODES,
        excused: Excused | None = None,
    ) -> Channels:
        """The channels that could go if those `within` went, `assumed` entries were zero, and but for `excused`."""
        kept = {axis: ~mask for axis, mask in within.items()}
        state = _State(self, kept, assumed or {})
        graph = self._graph
        return removable(
            graph._program, graph._inference, graph._prunable, state, self.quantizer, modes, excused or {}, kept
        )

    def forward(self, mode: Mode) -> GraphZeros:
        """What is zero in every value of one graph, as things are."""
        return forward_zeros(self._graph._program, self._graph._inference, mode, self.tensor, self.quantizer)

    def tensor(self, name: str) -> Zeros:
        """What is zero in a parameter or buffer as it is."""
        if name not in self._zeros:
            tensor = self._tensors[name]
            skipped = name in self.quantized or name in self._graph._inference.mutated
            self._zeros[name] = Zeros.unknown(tuple(tensor.shape)) if skipped else tensor_zeros(tensor)
        return self._zeros[name]

    def trained(self, name: str) -> bool:
        """Whether the optimizer may change this tensor."""
        return self._tensors[name].requires_grad and not self._final

    def silent(self, path: str) -> tuple[Mask, tuple[int, ...]]:
        """The silent channels of a quantizer, and the dims of its weight that they lie along."""
        if path not in self._quantizers:
            quantizer = self._root.get_submodule(path)
            assert isinstance(quantizer, Quantizer)
            silent = (
                np.zeros(quantizer.bits.numel(), bool) if quantizer.bits.is_meta else quantizer.silent().cpu().numpy()
            )
            self._quantizers[path] = (silent, quantizer.dims)
        return self._quantizers[path]

    def quantizer(self, path: str, weight: Zeros) -> Zeros:
        """What is zero in what a quantizer makes: its silent channels, and in the end every zero."""
        if self._final:
            return self._quantized(path)
        silent, dims = self.silent(path)
        table = silent.reshape(-1, *(weight.dims[dim].size for dim in dims))  # groups come first
        for place, dim in enumerate(dims, 1):
            others = tuple(axis for axis in range(table.ndim) if axis != place)
            weight = weight.replaced(dim, known(np.asarray(table.all(axis=others))))
        if len(table) == 1:
            return weight
        groups = np.asarray(table.reshape(len(table), -1).all(axis=1))
        return weight.replaced(0, Fact((len(table), weight.dims[0].size // len(table)), (groups, None)))

    def _quantized(self, path: str) -> Zeros:
        if path not in self._made:
            quantizer = self._root.get_submodule(path)
            name = next(name for name, other in self.quantized.items() if other == path)
            with torch.no_grad():
                self._made[path] = tensor_zeros(quantizer(self._tensors[name]))
        return self._made[path]


class _State:
    """The zeros of parameters and buffers under an assumption: see `ZeroFacts.removable`."""

    def __init__(self, facts: ZeroFacts, kept: Channels, assumed: Entries) -> None:
        self._facts, self._kept, self._assumed = facts, kept, assumed
        self._found: dict[str, Zeros] = {}

    def __call__(self, name: str) -> Zeros:
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Zeros:
        zeros = self._facts.tensor(name)
        if zeros.anywhere and self._facts.trained(name):
            dims = self._facts._graph._inference.state[name]
            zeros = Zeros.of(self._on_channels_that_go(fact, dim) for fact, dim in zip(zeros.dims, dims, strict=True))
        assumed = self._assumed.get(name)
        if assumed is None:
            return zeros
        at = next(dim for dim, fact in enumerate(zeros.dims) if fact.size != 1)
        found = zeros.dims[at].flat()
        return zeros.replaced(at, known(assumed if found is None else assumed | found))

    def _on_channels_that_go(self, fact: Fact, dim: Dim) -> Fact:
        mask = fact.flat()
        return unknown(fact.size) if mask is None else known(mask & ~over(dim, self._kept))


def fetch(root: torch.nn.Module, name: str) -> torch.Tensor:
    """A parameter or buffer by its state-dict name."""
    path, _, attribute = name.rpartition(".")
    tensor = getattr(root.get_submodule(path), attribute)
    assert isinstance(tensor, torch.Tensor)
    return tensor


def tensor_zeros(tensor: torch.Tensor) -> Zeros:
    """Where a tensor is zero along each of its dims. NaN is not zero; on the meta device nothing is known."""
    shape = tuple(tensor.shape)
    if tensor.is_meta or tensor.numel() == 0:
        return Zeros.unknown(shape)
    nonzero = tensor.detach() != 0
    if not shape:
        return Zeros((), not bool(nonzero))
    facts: list[Fact] = []
    for dim, size in enumerate(shape):
        rest = [other for other in range(len(shape)) if other != dim]
        alive = nonzero.any(dim=rest) if rest else nonzero
        facts.append(unknown(size) if size == 1 and alive.all() else known(~alive.cpu().numpy()))
    return Zeros.of(facts)
