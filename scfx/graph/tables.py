"""Tables that many layers read, such as rotary angles or slopes of positions: each layer may have channels of its own.

A table depends on no parameter and on no number that the model is given, but on sizes, positions and constants alone.
Computed once, it ties what all its readers do with it: feature pair 3 of one layer could go only with pair 3 of all
others. But nothing is learned in a table, so it may stay as it is, and each layer pick from it what it has left.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from torch import fx

from scfx.capture.program import MODES, Mode, Program
from scfx.graph.channels import ChannelGraph
from scfx.graph.inference import tensors
from scfx.passes.effects import is_random, writes_state
from scfx.passes.own_tables import OwnTables, Reading, read_apart
from scfx.terms.dims import Dim, Var, resolve, variables


@dataclass(frozen=True)
class _Trial:
    """A reading, and what becomes of the axes with it: those of the table, and the dim that is read."""

    mode: Mode
    reading: Reading
    table: frozenset[Var]
    made: Dim


def give_own_tables(program: Program) -> None:
    """Let what reads a table read it along axes of its own, wherever that separates some of them."""
    for mode, readings in _separating(program).items():
        OwnTables(readings)(program.graphs[mode], program.root)


def _separating(program: Program) -> dict[Mode, tuple[Reading, ...]]:
    """The readings that come out along different axes, those along the same one together."""
    graph = ChannelGraph(program)
    readings = {mode: list(_readings(graph, mode)) for mode in MODES}
    if not any(readings.values()):
        return {}
    apart, trials = _tried(program, readings)
    learned = {axis._var for axis in apart.axes}
    found: dict[Mode, dict[tuple[str, int, Dim], Reading]] = {mode: {} for mode in MODES}
    for group in _connected([(trial, trial.table) for trial in trials]):
        free = [trial for trial in group if any(axis.pin is None for axis in variables(trial.made))]
        if len(_connected([(trial, frozenset(variables(trial.made))) for trial in free])) < 2:
            continue
        if any(trial.table & learned for trial in group):  # the table would have to stay, and a parameter with it
            continue
        for trial in free:
            one = trial.reading
            together = found[trial.mode].setdefault((one.table, one.dim, trial.made), replace(one, readers=()))
            readers = tuple(dict.fromkeys((*together.readers, *one.readers)))
            found[trial.mode][one.table, one.dim, trial.made] = replace(together, readers=readers)
    return {mode: tuple(found[mode].values()) for mode in MODES if found[mode]}


def _readings(graph: ChannelGraph, mode: Mode) -> Iterable[Reading]:
    """Every reading of a table along an axis that could lose channels."""
    tables = _tables(graph, mode)
    for node in graph._program.graphs[mode].nodes:
        if node not in tables or node.op != "call_function" or not isinstance(node.meta.get("shape"), tuple):
            continue
        readers = [user for user in node.users if user not in tables and user.op != "output"]
        if readers and (node.meta["dtype"].is_floating_point or node.meta["dtype"].is_complex):
            (dims,) = tensors(graph._inference.values[mode][node.name]) or ((),)
            for at, dim in enumerate(dims):
                if any(axis in graph._prunable for axis in variables(dim)):
                    yield from (Reading(node.name, at, (reader.name,)) for reader in readers)


def _tables(graph: ChannelGraph, mode: Mode) -> set[fx.Node]:
    """The nodes that depend on no parameter, no number the model is given, no chance and no state that changes."""
    found: set[fx.Node] = set()
    for node in graph._program.graphs[mode].nodes:
        if node.op == "placeholder":
            dtype = node.meta.get("dtype")
            table = dtype is None or not (dtype.is_floating_point or dtype.is_complex)
        elif node.op == "get_attr":
            table = str(node.target) not in graph._parameters | graph._inference.mutated
        elif "value" in node.meta:  # a size
            table = True
        else:
            table = node.op == "call_function" and not (is_random(node) or writes_state(node))
            table = table and all(source in found for source in node.all_input_nodes)
        if table:
            found.add(node)
    return found


def _tried(program: Program, readings: dict[Mode, list[Reading]]) -> tuple[ChannelGraph, list[_Trial]]:
    """The analysis of the program with every reading apart."""
    graphs: dict[Mode, fx.Graph] = {mode: copy.deepcopy(graph) for mode, graph in program.graphs.items()}
    made = [(mode, one, node) for mode in MODES for one in readings[mode] for node in read_apart(graphs[mode], one)]
    graph = ChannelGraph(replace(program, graphs=graphs))
    trials: list[_Trial] = []
    for mode, one, node in made:
        values = graph._inference.values[mode]
        (source,), (result,) = (tensors(values[each.name]) for each in (node.all_input_nodes[0], node))
        trials.append(_Trial(mode, one, frozenset(variables(source[one.dim])), resolve(result[one.dim])))
    return graph, trials


def _connected(items: Sequence[tuple[_Trial, frozenset[Var]]]) -> list[list[_Trial]]:
    """The trials in groups that have axes in common, also by way of others."""
    groups: list[tuple[list[_Trial], set[Var]]] = []
    for trial, axes in items:
        mine: tuple[list[_Trial], set[Var]] = ([trial], set(axes))
        for group in [group for group in groups if group[1] & axes]:
            groups.remove(group)
            mine = ([*group[0], *mine[0]], group[1] | mine[1])
        groups.append(mine)
    return [trials for trials, _ in groups]
