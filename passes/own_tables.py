"""Lets operators that read one table do so along axes of their own."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx, nn

from scfx.nodes.lookups import PART
from scfx.passes.base import Pass


@dataclass(frozen=True)
class Reading:
    """Operators that read a table along one axis.

    Attributes:
        table: The node that makes the table, by name.
        dim: The dim of the table.
        readers: The nodes that read it, by name.
    """

    table: str
    dim: int
    readers: tuple[str, ...]


@dataclass(frozen=True)
class OwnTables(Pass):
    """Puts `scfx.part` between tables and what reads them, one for each reading that a plan names.

    It takes the whole dim: nothing changes until channels go from its result.

    Attributes:
        readings: What is read of which table by which nodes.
    """

    readings: tuple[Reading, ...]

    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        return sum(len(read_apart(graph, reading)) for reading in self.readings)


def read_apart(graph: fx.Graph, reading: Reading) -> list[fx.Node]:
    """Insert the node of one reading and return it: none if it is there, several where other dims are read apart."""
    nodes = {node.name: node for node in graph.nodes}
    by_source: dict[fx.Node, list[fx.Node]] = {}
    for reader in (nodes[name] for name in reading.readers):
        for source in reader.all_input_nodes:
            if _chain(source)[-1] is nodes[reading.table]:
                by_source.setdefault(source, []).append(reader)
    made: list[fx.Node] = []
    for source, readers in by_source.items():
        if any(node.target is PART and node.args[1] == reading.dim for node in _chain(source)):
            continue
        with graph.inserting_after(source):
            part = graph.call_function(PART, (source, reading.dim))
        part.meta.update(source.meta)
        for reader in readers:
            reader.replace_input_with(source, part)
        made.append(part)
    return made


def _chain(node: fx.Node) -> list[fx.Node]:
    """A node and, if it is a part, what it is a part of, up to the table."""
    chain = [node]
    while chain[-1].target is PART:
        chain.append(chain[-1].all_input_nodes[0])
    return chain
