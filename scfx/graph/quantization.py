"""Which parameters are weights to quantize, and along which dims: read off the signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from torch import fx

from scfx.capture.program import MODES
from scfx.graph.channels import ChannelGraph
from scfx.graph.journeys import Arrival, Journeys
from scfx.signatures import name_of
from scfx.signatures.call import Dims
from scfx.terms.dims import Dim, Pin, Product, Var, fresh, product, resolve, variables
from scfx.terms.unify import unify

#: What a dim is made of, row-major: whether each factor makes outputs, and its size.
Factors = tuple[tuple[bool, int], ...]


@dataclass(frozen=True)
class WeightUse:
    """How a weight is to be quantized.

    Attributes:
        dims: Its output dimensions: each of their indices, taken together, has a depth and an exponent.
        groups: More than 1 for grouped transposed convolutions: see `scfx.nodes.quantizer.Quantizer`.
        quantizer: The path of its quantizer, beside the weight.
    """

    dims: tuple[int, ...]
    groups: int
    quantizer: str


@dataclass(frozen=True)
class Unquantized:
    """A parameter of two or more dims that gets no quantizer.

    Attributes:
        name: Its state-dict name.
        numel: How many entries it has.
        reason: Why, in words.
    """

    name: str
    numel: int
    reason: str


@dataclass(frozen=True)
class Weights:
    """The parameters of a model, as quantizers see them.

    Attributes:
        uses: How each weight is to be quantized, by state-dict name.
        others: The parameters of two or more dims that stay as they are.
    """

    uses: dict[str, WeightUse]
    others: tuple[Unquantized, ...]


def find_weights(graph: ChannelGraph) -> Weights:
    """Every floating-point parameter whose entries are some operator's weight; the first use that tells decides."""
    uses: dict[str, WeightUse] = {}
    reasons: dict[str, str] = {}
    for mode in MODES:
        journeys = Journeys(graph._program, graph._inference, mode)
        for node in graph._program.graphs[mode].find_nodes(op="get_attr"):
            name, shape = str(node.target), node.meta.get("shape") or ()
            if name in uses or name not in graph._parameters or len(shape) < 2:
                continue
            if not node.meta["dtype"].is_floating_point:
                continue
            dims, arrivals = journeys.of(node)
            place = next((found for arrival in arrivals if (found := _place(dims, arrival)) is not None), None)
            if place is not None:
                uses[name] = WeightUse(*place, quantizer=f"{name}_quantizer")
            elif sum(size > 1 for size in shape) > 1:
                reasons.setdefault(name, _reason(arrivals))
    root = graph._program.root
    others = (Unquantized(n, root.get_parameter(n).numel(), why) for n, why in reasons.items() if n not in uses)
    return Weights(uses, tuple(others))


def _place(dims: Dims, arrival: Arrival) -> tuple[tuple[int, ...], int] | None:
    """The output dims of a parameter, and the groups, by what an operator takes from it; None if it takes no weight.

    Of each dim it counts what is summed over. All other dims make outputs, those that only number matrices as well. A
    product of parameters is no use of weights but makes one.
    """
    step = arrival.step
    factors = step.record.weights(step.call).get(arrival.operand) if step is not None else None
    if factors is None or arrival.weight is not None or all(output for parts in factors for output, _ in parts):
        return None
    summed: set[Var] = set()
    for dim, parts in zip(arrival.dims, factors, strict=True):
        if all(output for output, _ in parts):
            continue
        pieces = [fresh(size) for _, size in parts]
        unify(dim, product(*pieces), Pin("weight", arrival.node.name))
        summed.update(
            v for piece, (output, _) in zip(pieces, parts, strict=True) if not output for v in variables(piece)
        )
    return _outputs([_parts(dim, summed) for dim in dims])


def _parts(dim: Dim, summed: set[Var]) -> Factors | None:
    """Of what a dim is made; None if some of a part is summed over, and some not."""
    dim = resolve(dim)
    if dim.size == 1:
        return ()
    parts = dim.parts if isinstance(dim, Product) else (dim,)
    inside = [{variable in summed for variable in variables(part)} for part in parts]
    if any(len(found) > 1 for found in inside):
        return None
    return tuple((True not in found, part.size) for found, part in zip(inside, parts, strict=True))


def _outputs(dims: Sequence[Factors | None]) -> tuple[tuple[int, ...], int] | None:
    """The dims whose parts all make outputs; the first dim may have groups that do in front of parts that do not."""
    groups = 1
    made: list[int] = []
    for place, parts in enumerate(dims):
        if parts is None:
            return None
        outputs = [output for output, _ in parts]
        if outputs and all(outputs):
            made.append(place)
        elif any(outputs):
            if place or sorted(outputs, reverse=True) != outputs:
                return None
            groups = prod(size for output, size in parts if output)
    if groups == 1 and not made:  # a single output
        made = [place for place, parts in enumerate(dims) if parts == ()][:1]
    return (tuple(made), groups) if made else None


def _reason(arrivals: Sequence[Arrival]) -> str:
    """Why a parameter with these arrivals gets no quantizer."""
    for arrival in arrivals:
        if arrival.weight is not None:
            return f"the weight of {_operator(arrival.weight)} is computed from it, by {_operator(arrival.node)}"
    for arrival in arrivals:
        if arrival.step is not None and arrival.operand in arrival.step.record.weights(arrival.step.call):
            return f"the outputs of {_operator(arrival.node)} are not along dims of its own"
    names = list(dict.fromkeys(_operator(arrival.node) for arrival in arrivals))
    if not names:
        return "nothing is computed with it"
    return (
        f"it goes into {' and '.join(names[:2])}, which {'sum' if len(names) > 1 else 'sums'} over no products with it"
    )


def _operator(node: fx.Node) -> str:
    return "the output" if node.op == "output" else name_of(node.target).removeprefix("aten.").partition(".")[0]
