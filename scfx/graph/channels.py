"""The channel dependency graph: every axis of a model, what it runs through, and why it is pinned if it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

from scfx.capture.program import Mode, Program
from scfx.errors import UnknownNameError
from scfx.graph.inference import Inference, infer
from scfx.graph.masks import occupied
from scfx.graph.selection import unknown_name
from scfx.terms.dims import Dim, Pin, Var, resolve, variables
from scfx.terms.unify import pin

if TYPE_CHECKING:
    import networkx as nx


#: What must not shrink: a parameter or buffer by name, and one dimension of it or, for None, all of them.
Kept = tuple[str, int | None]


@dataclass(frozen=True, eq=False)
class Member:
    """One dimension of one parameter or buffer that an axis runs along.

    Attributes:
        name: The state-dict name of the parameter or buffer.
        dim: The dimension.
    """

    name: str
    dim: int
    _term: Dim
    _axis: Var

    def indices(self, channel: int) -> NDArray[np.int64]:
        """The indices along the dimension that one channel of the axis occupies, in ascending order."""
        if not 0 <= channel < self._axis.size:
            raise IndexError(f"the axis has {self._axis.size} channels, there is no channel {channel}")
        return np.flatnonzero(occupied(self._term, self._axis, channel))

    def __repr__(self) -> str:
        return f"{self.name}[{self.dim}]"


@dataclass(frozen=True, eq=False)
class Axis:
    """A set of dimensions whose channels line up one to one, and so live and die together.

    Attributes:
        size: The number of channels.
        pinned: None, or why the channels may not be removed.
        members: The dimensions of parameters and buffers that it runs along.
    """

    size: int
    pinned: str | None
    members: tuple[Member, ...]
    _var: Var

    def __repr__(self) -> str:
        return f"Axis(size={self.size}, pinned={self.pinned!r}, members={list(self.members)})"


class ChannelGraph:
    """The channel dependency graph of a model: the result of `scfx.channel_graph`, and data only.

    Attributes:
        axes: Every axis that a parameter has a part in, in the order of the parameters.
    """

    def __init__(
        self, program: Program, keep: Collection[Kept] = (), outputs: Mapping[Mode, Set[int]] | None = None
    ) -> None:
        self._program = program
        self._keep = tuple(keep)
        self._outputs = outputs
        self._inference: Inference = infer(program, outputs)
        self._parameters = {name for name, _ in program.root.named_parameters(remove_duplicate=False)}
        self._buffers = {name for name, _ in program.root.named_buffers(remove_duplicate=False)}
        for name, only in keep:
            for index, dim in enumerate(self.dims(name)):
                if only in (None, index):
                    pin(dim, Pin(f"kept by the user: {name}"))

    @cached_property
    def _members(self) -> dict[Var, list[Member]]:
        """The dimensions of parameters and buffers that each axis runs along."""
        members: dict[Var, list[Member]] = {}
        for name, dims in self._inference.state.items():
            for index, dim in enumerate(dims):
                for axis in dict.fromkeys(variables(dim)):
                    members.setdefault(axis, []).append(Member(name, index, resolve(dim), axis))
        return members

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        return tuple(
            Axis(axis.size, str(axis.pin) if axis.pin else None, tuple(found), axis)
            for axis, found in self._members.items()
            if any(member.name in self._parameters for member in found)
        )

    @cached_property
    def _prunable(self) -> dict[Var, int]:
        """The axes whose channels may go, by number. Those of sums of branches may lie on no parameter."""
        found = dict.fromkeys(axis._var for axis in self.axes)
        for steps in self._inference.steps.values():
            sinks = (sink for step in steps for sink in step.call.sinks if sink.into is not None)
            found |= dict.fromkeys(axis for sink in sinks if sink.into for axis in variables(sink.into[0]))
        return {axis: number for number, axis in enumerate(found) if axis.pin is None}

    @cached_property
    def scales(self) -> tuple[frozenset[str], frozenset[str]]:
        """Parameters that only multiply: what scales operands, and what scales a norm, which is never zero."""
        plain: set[str] = set()
        makers: set[str] = set()
        for steps in self._inference.steps.values():
            for step in steps:
                for found, operands in (
                    (plain, step.record.factors(step.call)),
                    (makers, step.record.norm_scales(step.call)),
                ):
                    nodes = (step.call.arguments.get(operand) for operand in operands)
                    found.update(
                        str(node.target) for node in nodes if isinstance(node, fx.Node) and node.op == "get_attr"
                    )
        return frozenset(plain - makers), frozenset(makers)

    def dims(self, name: str) -> tuple[Dim, ...]:
        """What each dimension of a parameter or buffer is made of. A tensor that no graph uses has none.

        Raises:
            UnknownNameError: no parameter or buffer has this name.
        """
        if name not in self._parameters | self._buffers:
            raise UnknownNameError(unknown_name(name, sorted(self._parameters | self._buffers), "parameter or buffer"))
        if name not in self._inference.state:  # tied tensors are known by the first of their names
            tensors = {**dict(self._program.root.named_parameters()), **dict(self._program.root.named_buffers())}
            own = self._program.root.state_dict(keep_vars=True).get(name)
            name = next((other for other, tensor in tensors.items() if tensor is own), name)
        return self._inference.state.get(name, ())

    def explain(self, name: str, dim: int) -> str:
        """Says in words which dims are coupled with a dimension, through which operators, and why it is pinned."""
        from scfx.reporting.explain import explain

        return explain(self, name, dim)

    def report(self) -> Any:
        """A printable report: the prunable share of each parameter's dims, pins by reason, operators without a rule."""
        from scfx.reporting.report import GraphReport

        return GraphReport.of(self)

    def to_networkx(self) -> nx.MultiDiGraph:
        """The dataflow of both graphs with the axes along every edge, for networkx."""
        from scfx.reporting.drawing import to_networkx

        return to_networkx(self)

    def render(self, path: str | PathLike[str], of: str | None = None, before: ChannelGraph | None = None) -> None:
        """Draws the graph with graphviz, clustered by module path; the ending of `path` chooses the format.

        Args:
            path: The file: .svg, .png, .pdf or .dot; or .html, a page with all zooms, search, explanations, and a
                slider between before and now. It needs nothing but a browser.
            of: None: the whole model, with repeated blocks folded. The path of a module: its inside; "" is all of the
                model, unfolded. A dim, as "fc.weight[1]": the axis that runs along it, with every operator on its way.
            before: The graph of the same model before it lost channels: sizes are shown as both, lines as wide as the
                share that is left.

        Raises:
            InputError: The ending stands for no format, or `before` is the graph of another model.
            UnknownNameError: `of` names nothing.
            ScfxError: pygraphviz is missing, graphviz failed, or the file can't be written.
        """
        from scfx.reporting.drawing import render

        render(self, path, of, before)

    def __iter__(self) -> Iterator[Axis]:
        return iter(self.axes)

    def __repr__(self) -> str:
        pinned = sum(axis.pinned is not None for axis in self.axes)
        troubles = len(self._inference.troubles)
        return f"ChannelGraph({len(self.axes)} axes, {pinned} of them pinned, {troubles} operators without a rule)"
