"""A dimension explained to a person: what it is made of, what is coupled with it, through which operators, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from scfx.graph.channels import Axis, ChannelGraph, Member
from scfx.graph.selection import dimension
from scfx.reporting.flow import STATE, Flow, Place, Stream, flow
from scfx.reporting.joins import Join, carrying, join_at, texts
from scfx.reporting.wording import Why, dim_text, group_axes, modules_text, shortened, why_pinned
from scfx.terms.dims import Concat, Dim, Product, Take, Var, resolve, variables
from scfx.terms.symbolic import size_text

#: How many lines one list of an explanation has at most.
LINES = 16

#: How many of the axes of one dimension are explained in full.
AXES = 6


def explain(graph: ChannelGraph, name: str, dim: int) -> str:
    """Says what is coupled with a dimension of a parameter or buffer, through which operators, and why it is pinned.

    Args:
        graph: The channel graph.
        name: The state-dict name of a parameter or buffer.
        dim: The dimension; negative numbers count from the last one.

    Raises:
        UnknownNameError: No parameter or buffer has this name; the message has the nearest names.
        InputError: The tensor has no such dimension.
    """
    dims = graph.dims(name)
    if not dims:
        return _unused(graph, name)
    return "\n".join(Explainer(graph).parts(name, dimension(dims, name, dim)))


class Explainer:
    """Explains many dimensions of one graph; what is said of an axis is worked out once."""

    def __init__(self, graph: ChannelGraph) -> None:
        self.graph = graph
        self.flow = flow(graph)
        self.groups = group_axes(graph)
        self.axes = {axis._var: axis for axis in graph.axes}
        self._said: dict[Axis, list[str]] = {}

    def parts(self, name: str, dim: int) -> tuple[str, ...]:
        """The heading, and what is said of the axes, which is the same for all dimensions made of the same ones.

        Args:
            name: The state-dict name of a parameter or buffer that takes part in the graph.
            dim: The dimension, from 0.
        """
        term = resolve(self.graph.dims(name)[dim])
        found = [self.axes[variable] for variable in dict.fromkeys(variables(term)) if variable in self.axes]
        made = _made_of(term, found, self.groups)
        heading = f"{name}, dimension {dim}, of size {size_text(term.size)}: {made}"
        lines: list[str] = []
        for number, axis in enumerate(found[:AXES], 1):
            if axis not in self._said:
                verdict = _verdict(self.graph, axis, axis._var in self.groups)
                self._said[axis] = [verdict, *_story(self.graph, self.flow, axis)]
            verdict, *story = self._said[axis]
            title = f"axis {number} of {len(found)}: " if len(found) > 1 else ""
            lines += ["", f"{title}{verdict}", *story]
        if len(found) > AXES:
            rest = found[AXES:]
            free = sum(axis.pinned is None for axis in rest)
            lines += [
                "",
                f"and {len(rest)} more axes, {free} of them prunable, with {sum(a.size for a in rest):,} channels:",
            ]
            lines += [
                f"  {line}"
                for line in shortened([f"{axis.size:,}: made with {axis.members[0]}" for axis in rest], LINES)
            ]
        return (heading, "\n".join(lines)) if lines else (heading,)


def _unused(graph: ChannelGraph, name: str) -> str:
    if graph._program.root.state_dict(keep_vars=True)[name].dim() == 0:
        return f"{name} is a single number: it has no dimensions."
    return f"{name} takes no part in what the model computes from these inputs: nothing is coupled with it."


def _made_of(term: Dim, axes: list[Axis], groups: frozenset[Var]) -> str:
    if term.size == 1:
        return "a single channel, so nothing to remove"
    if isinstance(term, Var):
        return "one axis"
    kind = {Concat: "a concatenation", Product: "a product", Take: "channels in another order"}[type(term)]
    return f"{kind}, {dim_text(term, groups)}, of {len(axes)} {'axis' if len(axes) == 1 else 'axes'}"


def _verdict(graph: ChannelGraph, axis: Axis, groups: bool) -> str:
    what = f"{axis.size:,} {'groups' if groups else 'channels'}"
    why = why_pinned(graph, axis)
    return f"{what}, prunable" if why is None else f"{what}, pinned: {why}"


# ----------------------------------------------------------------- what is coupled


@dataclass(frozen=True)
class _Item:
    """A piece of a line: where in the model it belongs, and what is said of it."""

    block: str
    text: str


def _story(graph: ChannelGraph, everything: Flow, axis: Axis) -> Iterator[str]:
    stops = list(_stops(everything, axis._var, why_pinned(graph, axis)))
    operators = [place for place in everything.places.values() if place.kind == "operator"]
    modules = list(dict.fromkeys(place.module for place in operators if place.module))
    parts = {module[:dot] for module in modules for dot in range(len(module)) if module[dot] == "."}
    blocks = {module: module if module in parts else module.rpartition(".")[0] for module in modules}
    count = len(axis.members)
    yield f"  runs along {count} {'dimension' if count == 1 else 'dimensions'} of parameters and buffers:"
    yield from _indented(_by_block(list(_members(axis, blocks)), "; "))
    joins = [stop.join for stop in stops if stop.join is not None]
    if joins:
        several = "these operators join" if len(joins) > 1 else "this operator joins"
        yield f"  is one axis because {several} several values:"
        yield from _indented(shortened(texts(joins), LINES, "such operators"))
    if stops:
        yield "  passes through, in order:"
        items = [_Item(blocks.get(s.place.module, s.place.module), s.text(blocks)) for s in stops]
        yield from _indented(_by_block(items, " -> "))


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _by_block(items: list[_Item], separator: str) -> list[str]:
    """One line for each block; neighbouring blocks of which the same is said share one."""
    lines = [
        (block, separator.join(item.text for item in run)) for block, run in groupby(items, lambda item: item.block)
    ]
    result: list[str] = []
    for text, run in groupby(lines, lambda line: line[1]):
        paths = [path for path, _ in run]
        if len(paths) > 1 and paths[0]:
            result.append(f"{modules_text(paths)}, each: {text}")
        else:
            result += [f"{path}: {text}" if path else text for path in paths]
    return shortened(result, LINES, "more lines like these")


def _members(axis: Axis, blocks: dict[str, str]) -> Iterator[_Item]:
    """The members, by module, in the order in which the modules come first."""
    by_module: dict[str, dict[str, list[str]]] = {}
    for member in axis.members:
        module, _, name = member.name.rpartition(".")
        if module.endswith("_quantizer"):
            quantized, _, quantizer = module.rpartition(".")
            module, name = quantized, f"{quantizer}.{name}"
        by_module.setdefault(module, {}).setdefault(f"[{member.dim}]{_where(member)}", []).append(name)
    rank = {module: position for position, module in enumerate(blocks)}
    by_block: dict[str, list[_Item]] = {}
    for module in sorted(by_module, key=lambda module: rank.get(module, -1)):
        block = blocks.get(module, module.rpartition(".")[0])
        inside = module.removeprefix(block).removeprefix(".")
        texts = (f"{', '.join(names)} {place}" for place, names in by_module[module].items())
        by_block.setdefault(block, []).append(_Item(block, f"{inside} {' and '.join(texts)}".strip()))
    for items in by_block.values():
        yield from items


def _where(member: Member) -> str:
    """Where along a dimension that isn't all the axis' own its channels lie."""
    if isinstance(member._term, Var):
        return ""
    first, last = member.indices(0), member.indices(member._axis.size - 1)
    each, taken = len(first), len(first) * member._axis.size
    several = f" ({each:,} each)" if each > 1 else ""
    if taken == member._term.size:
        return several
    whole_runs = first[-1] - first[0] + 1 == each
    if whole_runs and last[-1] - first[0] + 1 == taken:
        return f" {first[0]:,} to {last[-1]:,}{several}"
    return f" {taken:,} of {member._term.size:,}{several}"


# ------------------------------------------------------------ through which operators


@dataclass(frozen=True)
class _Stop:
    """A place on the way of an axis.

    Attributes:
        place: The place.
        given: What brings the axis there, parameters and buffers aside.
        join: What meets there, if anything does.
        leaves: Whether what is made there has the axis too.
        ending: How the channels meet there: "contracts it", "takes a statistic over it", or nothing.
        pins: Whether it is the operator to blame for the pin.
        only_train: Whether only the train graph has it.
    """

    place: Place
    given: tuple[Stream, ...]
    join: Join | None
    leaves: bool
    ending: str
    pins: bool
    only_train: bool

    def text(self, blocks: dict[str, str]) -> str:
        inside = self.place.module.removeprefix(blocks.get(self.place.module, "")).removeprefix(".")
        inside = "" if inside == self.place.op else inside
        name = {"input": "model input", "output": "model output"}.get(self.place.kind, self.place.op)
        name = (
            f"{name} {self.place.op}".strip() if self.place.kind in ("input", "output") else f"{name} {inside}".strip()
        )
        remarks = [self.ending] if self.ending else []
        if self.leaves and not self.given:
            remarks.append("makes it")
        if self.join is not None and self.leaves:
            remarks.append("joins it")
        if self.pins:
            remarks.append("pins it")
        if self.only_train:
            remarks.append("in train mode only")
        return f"{name} ({', '.join(remarks)})" if remarks else name


def _stops(everything: Flow, axis: Var, why: Why | None) -> Iterator[_Stop]:
    for place in everything.places.values():
        if place.kind in STATE:
            continue
        given = carrying(everything, place, axis)
        leaves = place.kind != "output" and any(axis in variables(dim) for dims in place.made for dim in dims)
        kinds = {sink.kind for sink in place.sinks if axis in variables(sink.dim)}
        if not leaves and not any(s.carries(axis) for s in everything.into(place)):
            continue
        ending = ""
        if "contract" in kinds:
            ending = "contracts it, and makes it again" if leaves else "contracts it: the channels end here"
        elif "statistic" in kinds:
            ending = "takes a statistic over it" if leaves else "takes a statistic over it: the channels end here"
        elif "merge" in kinds:
            ending = "adds it to other channels" if leaves else "adds it to other channels: the channels end here"
        nodes = [node.name for node in place.nodes.values()]
        pins = why is not None and why.reason != "model output" and why.node in nodes
        join = join_at(everything, place, axis, given) if place.kind == "operator" else None
        yield _Stop(place, given, join, leaves, ending, pins, list(place.nodes) == ["train"])
