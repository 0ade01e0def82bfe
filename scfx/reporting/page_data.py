"""What the page of a channel graph knows: both the dataflow and the axes as plain data, ready to be written as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scfx.capture.program import Mode
from scfx.reporting.chips import KERNEL
from scfx.reporting.explain import Explainer
from scfx.reporting.flow import STATE, Flow, Place, classes
from scfx.reporting.folding import Folder
from scfx.reporting.widths import Widths, tensor_name
from scfx.reporting.wording import dim_text, source_line
from scfx.terms.dims import Dim, Var, resolve, variables
from scfx.terms.symbolic import is_symbolic

if TYPE_CHECKING:
    from scfx.graph.channels import ChannelGraph


def page_data(graph: ChannelGraph, mode: Mode = "eval", before: ChannelGraph | None = None) -> dict[str, Any]:
    """All that the page shows of one graph of a model.

    Args:
        graph: The channel graph.
        mode: The graph to show.
        before: That of the same model before it lost channels; None where there is nothing to compare with.

    Returns:
        mode, compared: the mode, and whether there is a graph before.
        axes: for each its `size`, its `first` size, `colour` and `pin` (null, or the reason).
        places: operators, inputs and outputs in the order of the dataflow, with the parameters they read as `rows`.
        streams: what flows between places, by their positions: source, target, operand, dims.
        folds: for each run of modules that are alike, the paths of calls that each of them happens in.
        classes: the class of each module.
        tensors: for each parameter the headings of what is said of its dims, and the position of the rest in `texts`.

        A dim is [size, first size, axes, text]; the text is "" where it is the size, and null for a window.

    Raises:
        InputError: `before` is the graph of another model, or had fewer channels.
    """
    return _Writer(graph, mode, Widths(graph, before)).data()


class _Writer:
    """Writes one graph down."""

    def __init__(self, graph: ChannelGraph, mode: Mode, widths: Widths) -> None:
        self.graph, self.mode, self.widths = graph, mode, widths
        self.explainer = Explainer(graph)
        self.flow: Flow = self.explainer.flow
        self.places = [p for p in self.flow.places.values() if mode in p.nodes and p.kind not in STATE]
        known = [(axis._var, axis) for axis in (*graph.axes, *widths.gone)]
        self.numbers = {variable: number for number, (variable, _) in enumerate(known)}
        self.axes = [
            {
                "size": axis.size if variable in self.explainer.axes else 1,
                "first": widths.first(variable),
                "colour": widths.colours[variable],
                "pin": variable.pin.reason if variable.pin else None,
            }
            for variable, axis in known
        ]

    def data(self) -> dict[str, Any]:
        rank = {place.id: position for position, place in enumerate(self.places)}
        streams = [
            [rank[s.source], rank[s.target], s.operand, [self._dim(dim, dim.size, self._axes(dim)) for dim in s.dims]]
            for s in self.flow.streams
            if self.mode in s.modes and s.source in rank and s.target in rank
        ]
        folds = Folder(self.flow, self.mode, self.places, self.widths).folds()
        texts: dict[str, int] = {}
        tensors = {
            name: [
                (parts[0], texts.setdefault(parts[1], len(texts)) if len(parts) > 1 else None)
                for parts in (self.explainer.parts(name, dim) for dim in range(len(self.graph.dims(name))))
            ]
            for name in sorted(self.graph._parameters)
        }
        return {
            "mode": self.mode,
            "compared": self.widths.before is not None,
            "axes": self.axes,
            "places": [self._place(place) for place in self.places],
            "streams": streams,
            "folds": list(folds.copies.values()),
            "classes": classes(self.flow),
            "tensors": tensors,
            "texts": list(texts),
        }

    def _place(self, place: Place) -> dict[str, Any]:
        return {
            "op": place.op,
            "kind": place.kind,
            "target": place.target,
            "module": place.module,
            "calls": place.calls,
            "line": source_line(place.nodes[self.mode]),
            "rows": list(self._rows(place)),
        }

    def _rows(self, place: Place) -> Iterator[dict[str, Any]]:
        """The parameters that an operator reads; those with the same dims in one row."""
        found: dict[str, dict[str, Any]] = {}
        for stream in self.flow.into(place):
            source = self.flow.places[stream.source]
            if self.mode not in stream.modes or source.kind not in ("parameter", "quantizer"):
                continue
            name = tensor_name(source)
            dims = [self._parameter_dim(name, at, dim) for at, dim in enumerate(stream.dims)]
            label = name.rpartition(".")[2] if "[" in stream.operand else stream.operand
            row = found.setdefault(str(dims), {"labels": [], "names": [], "dims": dims})
            row["labels"].append(label + (", quantized" if source.kind == "quantizer" else ""))
            row["names"].append(name)
        yield from found.values()

    def _parameter_dim(self, name: str, at: int, dim: Dim) -> list[Any]:
        strands = self.widths.strands(name, at, dim)
        axes = [self.numbers[strand.axis] for strand in strands if strand.axis in self.numbers]
        term = resolve(dim)
        window = isinstance(term, Var) and term.pin is not None and term.pin.reason == KERNEL
        return self._dim(dim, self.widths.size_before(name, at, dim), axes, window)

    def _axes(self, dim: Dim) -> list[int]:
        return [self.numbers[axis] for axis in dict.fromkeys(variables(dim)) if axis in self.numbers]

    def _dim(self, dim: Dim, first: int, axes: list[int], window: bool = False) -> list[Any]:
        size = None if is_symbolic(dim.size) else dim.size
        text = dim_text(dim, self.explainer.groups)
        plain = isinstance(resolve(dim), Var) and size is not None
        return [size, None if is_symbolic(first) else first, axes, None if window else "" if plain else text]
