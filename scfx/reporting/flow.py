"""What flows where: both graphs of a model merged into one, for people to look at.

An operator that occurs in both graphs is one place; sizes, counters and other bookkeeping that no output comes from are
left out; an operator that returns several tensors is the source of each of them.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import fx

from scfx.capture.program import MODES, Mode
from scfx.passes.building import picked
from scfx.signatures import name_of
from scfx.signatures.call import Dims, Sink, bind
from scfx.terms.dims import Var, variables

if TYPE_CHECKING:
    from scfx.graph.channels import ChannelGraph

Kind = Literal["input", "parameter", "buffer", "quantizer", "operator", "output"]

#: Kinds of places that hold state: what flows out of them was not computed from an input.
STATE: frozenset[str] = frozenset({"parameter", "buffer", "quantizer"})


@dataclass(eq=False)
class Place:
    """Where values are made, or where they end: an input, a parameter, a buffer, an operator, an output.

    Attributes:
        id: Unique: the state-dict name, the node's name (with the mode where only the train graph has it), `input x`.
        kind: What it is.
        op: The operator as people say it ("conv2d"), or the name of what is no operator.
        target: The qualified name of the operator ("aten.conv2d.default"); "" for what is no operator.
        module: The path of the module that it belongs to.
        module_type: The class of that module, where known.
        calls: The calls of modules that it happens in, outermost first, as paths; the second call of a module, and what
            happens in it, has "@1" behind its path, and so on.
        nodes: The graph node in each mode that has it.
        made: The dims of each tensor that it makes, in eval mode where it occurs there.
        sinks: The dims that it contracts or takes a statistic over.
    """

    id: str
    kind: Kind
    op: str
    target: str = ""
    module: str = ""
    module_type: str = ""
    calls: tuple[str, ...] = ()
    nodes: dict[Mode, fx.Node] = field(default_factory=dict)
    made: tuple[Dims, ...] = ()
    sinks: tuple[Sink, ...] = ()


@dataclass(eq=False)
class Stream:
    """One tensor on its way from where it is made to where it is used.

    Attributes:
        source, target: The ids of the two places.
        operand: The argument that it is for the target, such as "input" or "tensors[1]".
        dims: What its dimensions are made of.
        modes: The graphs that have it.
    """

    source: str
    target: str
    operand: str
    dims: Dims
    modes: list[Mode]

    def carries(self, axis: Var) -> bool:
        """Whether the axis runs along one of its dimensions."""
        return any(axis in variables(dim) for dim in self.dims)


@dataclass
class Flow:
    """The merged graph.

    Attributes:
        places: By id, in an order in which values are made before they are used; what only one graph has stands
            between its neighbours there.
        streams: In the order of their targets.
    """

    places: dict[str, Place]
    streams: list[Stream]

    @cached_property
    def _by_target(self) -> dict[str, list[Stream]]:
        result: dict[str, list[Stream]] = {name: [] for name in self.places}
        for stream in self.streams:
            result[stream.target].append(stream)
        return result

    def into(self, place: Place) -> list[Stream]:
        """The streams that end at a place."""
        return self._by_target[place.id]


def flow(graph: ChannelGraph) -> Flow:
    """Merges the two graphs of a channel graph."""
    builder = _Builder(graph)
    orders = {mode: builder.add(mode) for mode in reversed(MODES)}
    order = _merged(orders["train"], orders["eval"])
    rank = {name: position for position, name in enumerate(order)}
    streams = sorted(builder.streams.values(), key=lambda stream: rank[stream.target])
    return Flow({name: builder.places[name] for name in order}, streams)


def path_of(node: fx.Node) -> tuple[str, str]:
    """The path of the module whose forward made a node, and its class; a second call of a module has the same path."""
    stack = node.meta.get("nn_module_stack") or {}
    if not stack:
        return "", ""
    path, kind = list(stack.values())[-1]
    return str(path).split("@")[0], str(getattr(kind, "__name__", kind)).rpartition(".")[2]


def calls_of(node: fx.Node) -> tuple[str, ...]:
    """The calls of modules that a node was made in, outermost first, with containers that are never called."""
    calls: list[str] = []
    outer = ""
    for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
        path = str(path).split("@")[0]
        number = str(key).partition("@")[2]
        if path.startswith(outer and f"{outer}."):
            start = len(outer) + 1 if outer else 0
            calls += [path[:end] for end in range(start, len(path)) if path[end] == "."]
        if path:
            calls.append(f"{path}@{number}" if number else path)
            outer = path
    return tuple(calls)


def classes(everything: Flow) -> dict[str, str]:
    """For each module path the name of its class, where anything is computed in it."""
    stacks = (
        node.meta.get("nn_module_stack") or {} for place in everything.places.values() for node in place.nodes.values()
    )
    entries = (entry for stack in stacks for entry in stack.values())
    return {str(path).split("@")[0]: str(getattr(kind, "__name__", kind)).rpartition(".")[2] for path, kind in entries}


class _Builder:
    """Adds one graph after the other; the eval graph first, so that names are those of the eval graph."""

    def __init__(self, graph: ChannelGraph) -> None:
        self.graph = graph
        self.places: dict[str, Place] = {}
        self.streams: dict[tuple[str, str, str, int], Stream] = {}
        self._by_key: dict[tuple[str, str, int], str] = {}

    def add(self, mode: Mode) -> list[str]:
        """Adds the graph of a mode and returns the ids of its places in order."""
        values = self.graph._inference.values[mode]
        sinks = {step.call.node.name: step.call.sinks for step in self.graph._inference.steps[mode]}
        seen: Counter[tuple[str, str]] = Counter()
        ids: dict[str, str] = {}
        order: list[str] = []
        live = _live(self.graph._program.graphs[mode])
        for node in self.graph._program.graphs[mode].nodes:
            if node.op == "output":
                order += self._outputs(node, mode, ids)
                continue
            if node not in live or node.meta.get("shape") is None or node.target is operator.getitem:
                continue
            place = self._place(node, mode, seen)
            if mode not in place.nodes:
                place.nodes[mode] = node
                order.append(place.id)
            ids[node.name] = place.id
            if not place.made:
                value = values[node.name] or ()
                place.made = value if value and isinstance(value[0], tuple) else (value,)
            place.sinks = place.sinks or tuple(sinks.get(node.name, ()))
            for operand, source in _operands(node):
                self._stream(source, place.id, operand, mode, ids)
        return order

    def _place(self, node: fx.Node, mode: Mode, seen: Counter[tuple[str, str]]) -> Place:
        target = str(node.target)
        if node.op == "get_attr":
            kind: Kind = "parameter" if target in self.graph._parameters else "buffer"
            return self.places.setdefault(target, Place(target, kind, target, "", target.rpartition(".")[0]))
        if node.op == "call_module":
            weight = target.removesuffix("_quantizer")
            return self.places.setdefault(target, Place(target, "quantizer", target, "", weight.rpartition(".")[0]))
        if node.op == "placeholder":
            index = [n.name for n in self.graph._program.graphs[mode].nodes if n.op == "placeholder"].index(node.name)
            name = self.graph._program.call.input_names[index]
            return self.places.setdefault(f"input {name}", Place(f"input {name}", "input", name))
        module, module_type = path_of(node)
        name = name_of(node.target)
        key = (module, name, seen[module, name])
        seen[module, name] += 1
        if key not in self._by_key:
            taken = node.name in self.places or node.name in self.graph._inference.state
            identity = node.name if mode == "eval" and not taken else f"{node.name} ({mode})"
            short = name.split(".")[1] if name.count(".") > 1 else name
            self.places[identity] = Place(identity, "operator", short, name, module, module_type, calls_of(node))
            self._by_key[key] = identity
        return self.places[self._by_key[key]]

    def _outputs(self, node: fx.Node, mode: Mode, ids: dict[str, str]) -> list[str]:
        names = self.graph._program.call.output_names[mode]
        order: list[str] = []
        for leaf, name in zip(node.args[0], names, strict=True):  # type: ignore[arg-type]
            if not isinstance(leaf, fx.Node) or leaf.meta.get("shape") is None:
                continue
            identity = f"output {name}".strip()
            self.places.setdefault(identity, Place(identity, "output", name)).nodes.setdefault(mode, node)
            self._stream(leaf, identity, "value", mode, ids)
            order.append(identity)
        return order

    def _stream(self, node: fx.Node, target: str, operand: str, mode: Mode, ids: dict[str, str]) -> None:
        value: Any = self.graph._inference.values[mode][node.name]
        part = 0
        while node.target is operator.getitem:
            part, node = picked(node), node.all_input_nodes[0]
        if node.name not in ids or value is None:
            return
        key = (ids[node.name], target, operand, part)
        if key not in self.streams:
            self.streams[key] = Stream(ids[node.name], target, operand, value, [])
        self.streams[key].modes.append(mode)


def _live(graph: fx.Graph) -> set[fx.Node]:
    """The nodes that an output is computed from, and the inputs."""
    live = {node for node in graph.nodes if node.op == "placeholder"}
    todo = [node for node in graph.nodes if node.op == "output"]
    while todo:
        node = todo.pop()
        if node not in live or node.op == "output":
            live.add(node)
            todo.extend(source for source in node.all_input_nodes if source not in live)
    return live


def _operands(node: fx.Node) -> Iterator[tuple[str, fx.Node]]:
    """The tensors that a node reads, each with the name of the argument."""
    if isinstance(node.target, torch._ops.OpOverload):
        arguments = bind(node.target, node.args, node.kwargs)
    else:
        arguments = {f"argument {index}": value for index, value in enumerate(node.args)}
    for name, value in arguments.items():
        items = [(f"{name}[{i}]", item) for i, item in enumerate(value)] if isinstance(value, (list, tuple)) else []
        for operand, source in items or [(name, value)]:
            if isinstance(source, fx.Node) and isinstance(source.meta.get("shape"), (tuple, list)):
                yield operand, source


def _merged(first: list[str], second: list[str]) -> list[str]:
    """One order of two lists that share most of their items; where they contradict each other the first one holds."""
    own, others = set(first), set(second)
    result: dict[str, None] = {}
    rest = iter(second)
    passed: set[str] = set()
    for item in first:
        while item in others and item not in passed:
            other = next(rest)
            passed.add(other)
            if other not in own:
                result[other] = None
        result[item] = None
    result.update(dict.fromkeys(rest))
    return list(result)
