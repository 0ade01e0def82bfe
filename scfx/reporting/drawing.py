"""The channel graph for other tools to work with, and for people to look at."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from scfx.capture.program import MODES, Mode
from scfx.reporting.coupled import prunable_indices
from scfx.reporting.drawing_layout import check_drawable, draw, write_whole
from scfx.reporting.flow import Place, flow
from scfx.reporting.page import page
from scfx.reporting.pictures import Pictures
from scfx.reporting.wording import dim_text, group_axes
from scfx.signatures.call import Dims
from scfx.terms.dims import variables
from scfx.terms.symbolic import is_symbolic

if TYPE_CHECKING:
    import networkx as nx

    from scfx.graph.channels import ChannelGraph


def to_networkx(graph: ChannelGraph) -> nx.MultiDiGraph:
    """The dataflow of both graphs in one, with the axes along every edge.

    Sizes, counters and other bookkeeping that no output comes from are left out. An axis is given by its number, its
    position in `graph.axes`; axes that no parameter has a part in (batch, space) have none.

    Every node has these attributes:
        kind: "input", "parameter", "buffer", "quantizer", "operator" or "output".
        label: The operator as people say it, such as "conv2d"; else the name.
        op: The qualified name of an operator, such as "aten.conv2d.default"; else "".
        module, module_type: The path of the module that it belongs to, and the name of its class where known.
        modes: The graphs that have it: ("train",), ("eval",) or ("train", "eval").
        shape: The sizes of (the first of) what it makes, None for sizes that are known at run time only.
        axes: For each dimension of that, the numbers of the axes that it is made of.
        prunable: For each dimension of that, the prunable share of its indices, from 0 to 1.
        pins: The reasons of its pinned axes, each once.

    Every edge, with the name of the operand as its key, has these attributes:
        operand: The argument of the target that the tensor is.
        modes: The graphs that have it.
        shape, axes: Of the tensor, as for nodes.
        dims: For each dimension, what it is made of as text, such as "32 groups x 4".

    The attributes of the graph itself are `axes`, a list of dicts with `size`, `pinned` and `members` for each axis.
    """
    import networkx as nx

    numbers = {axis._var: number for number, axis in enumerate(graph.axes)}
    groups = group_axes(graph)

    def shape(dims: Dims) -> tuple[int | None, ...]:
        return tuple(None if is_symbolic(dim.size) else dim.size for dim in dims)

    def axes(dims: Dims) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(dict.fromkeys(numbers[axis] for axis in variables(dim) if axis in numbers)) for dim in dims)

    def pins(dims: Dims) -> tuple[str, ...]:
        found = (axis.pin.reason for dim in dims for axis in variables(dim) if axis in numbers and axis.pin is not None)
        return tuple(dict.fromkeys(found))

    result = nx.MultiDiGraph(
        axes=[{"size": a.size, "pinned": a.pinned, "members": [(m.name, m.dim) for m in a.members]} for a in graph.axes]
    )
    everything = flow(graph)
    for place in everything.places.values():
        dims = _made(place) if place.kind != "output" else next(iter(everything.into(place))).dims
        result.add_node(
            place.id,
            kind=place.kind,
            label=place.op,
            op=place.target,
            module=place.module,
            module_type=place.module_type,
            modes=tuple(mode for mode in MODES if mode in place.nodes),
            shape=shape(dims),
            axes=axes(dims),
            prunable=tuple(prunable_indices(dim, graph._prunable) / dim.size if dim.size else 0.0 for dim in dims),
            pins=pins(dims),
        )
    for stream in everything.streams:
        result.add_edge(
            stream.source,
            stream.target,
            operand=stream.operand,
            modes=tuple(mode for mode in MODES if mode in stream.modes),
            shape=shape(stream.dims),
            axes=axes(stream.dims),
            dims=tuple(dim_text(dim, groups) for dim in stream.dims),
        )
    return result


def render(
    graph: ChannelGraph,
    path: str | PathLike[str],
    of: str | None = None,
    before: ChannelGraph | None = None,
    mode: Mode = "eval",
) -> None:
    """Draws one graph of a model into a file, clustered by module path, a colour for each prunable axis.

    The sizes are those of the moment. An axis has the same colour before and after pruning.

    Args:
        graph: The channel graph.
        path: The file. Its ending chooses the format: .svg, .png, .pdf, .dot or .html. It is written whole or not at
            all. An .html page has all zooms, and search, what is coupled, why, and a slider between before and now.
        of: What is drawn, or what a page shows first. None: the whole model, with repeated blocks folded. The path of a
            module: its inside; "" is all of the model, nothing folded. A dim, as "fc.weight[1]": the axis that runs
            along it, by all operators.
        before: The graph of the same model before it lost channels, to compare with.
        mode: The graph to draw.

    Raises:
        InputError: The ending stands for no format, or `before` is the graph of another model.
        UnknownNameError: `of` names nothing.
        ScfxError: pygraphviz is missing, graphviz failed, or the file can't be written.
    """
    target = Path(path)
    form = check_drawable(target)
    pictures = Pictures(graph, before, mode)
    if form == "html":
        pictures.check(of)
        write_whole(target, page(graph, mode, before, start=of or "").encode())
    else:
        write_whole(target, draw(pictures.of(of).source, form))


def _made(place: Place) -> Dims:
    return place.made[0] if place.made else ()
