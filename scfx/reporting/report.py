"""What can be pruned of a model, what can't, and why: plain data first, and printable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scfx.capture.program import MODES, Mode
from scfx.graph.inference import Trouble
from scfx.graph.quantization import Unquantized, find_weights
from scfx.nodes.quantizer import Quantizer
from scfx.reporting.coupled import Coupled, coupled, prunable_indices
from scfx.reporting.report_text import text
from scfx.signatures.binding import Binding
from scfx.signatures.notation import read
from scfx.signatures.pattern import Pattern
from scfx.terms.dims import Var, variables

if TYPE_CHECKING:
    from scfx.graph.channels import Axis, ChannelGraph

#: Above this many outputs it isn't worked out what each of them costs.
MOST_OUTPUTS = 64


@dataclass(frozen=True)
class DimShare:
    """How much of one dimension of one parameter can be pruned.

    Attributes:
        name, dim: The parameter, by its state-dict name, and the dimension.
        size: How many indices it has.
        prunable: How many of them some prunable axis occupies.
        kernel: Whether it is a window dimension of a convolution's weight.
        numel: How many entries the parameter has.
    """

    name: str
    dim: int
    size: int
    prunable: int
    kernel: bool
    numel: int

    @property
    def share(self) -> float:
        """The prunable share of the indices, from 0 to 1."""
        return self.prunable / self.size if self.size else 0.0


@dataclass(frozen=True)
class PinGroup:
    """The axes that are pinned for one reason.

    Attributes:
        reason: The reason, without the node.
        axes, channels: How many axes, and how many channels they have together.
        examples: Dimensions of parameters that such axes run along: one for each of the first few axes.
    """

    reason: str
    axes: int
    channels: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class OutputCost:
    """What it costs that one output keeps its shape.

    Attributes:
        name: The path of the output, as `compress(outputs=...)` takes it; "" for a model that returns one tensor.
        modes: The modes in which the model returns it.
        channels: How many channels it pins that nothing else but outputs does.
        gain: How many more channels would be prunable if this were the only output that matters.
    """

    name: str
    modes: tuple[Mode, ...]
    channels: int
    gain: int


@dataclass(frozen=True)
class GraphReport:
    """What can be pruned of a model, and what stands in the way.

    Attributes:
        dims: Every dimension of every parameter that the model computes with, quantizers aside.
        axes, prunable_axes: How many axes there are, and how many of them are prunable.
        channels, prunable_channels: How many channels they have together.
        pins: The pinned axes by reason, those with the most channels first.
        troubles: The operators without a rule, or whose rule did not fit. They pin what they touch.
        outputs: What each output costs.
        notes: How the captured graphs differ from the model, in sentences.
        unused: Parameters that the model doesn't compute with.
        unquantized: Parameters of two or more dims that get no quantizer, and why.
        coupled: The axes but those of convolution windows, those with the most weights first.
    """

    dims: tuple[DimShare, ...]
    axes: int
    prunable_axes: int
    channels: int
    prunable_channels: int
    pins: tuple[PinGroup, ...]
    troubles: tuple[Trouble, ...]
    outputs: tuple[OutputCost, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...] = ()
    unquantized: tuple[Unquantized, ...] = ()
    coupled: tuple[Coupled, ...] = ()

    @property
    def share(self) -> float:
        """The mean prunable share of all dims but convolution windows, from 0 to 1.

        Each dimension of each parameter counts with as many entries as the parameter has, so that a classifier of a
        thousand classes weighs what it weighs. Dimensions of size 1 have nothing to remove and don't count. With 1000
        classes: resnet50 0.960, densenet121 0.935, mobilenet_v2 0.815.
        """
        counted = [dim for dim in self.dims if not dim.kernel and dim.size > 1]
        total = sum(dim.numel for dim in counted)
        return sum(dim.numel * dim.share for dim in counted) / total if total else 0.0

    @staticmethod
    def of(graph: ChannelGraph, outputs: bool = True) -> GraphReport:
        """The report on a channel graph, which stays as it is.

        Args:
            graph: The channel graph.
            outputs: Whether to work out what each output costs, for which the analysis is run once more for each.
        """
        free = graph._prunable
        parameters = _parameters(graph)
        kernels = _kernel_axes(graph)
        dims: list[DimShare] = []
        for name, numel in parameters.items():
            for index, dim in enumerate(graph.dims(name)):
                kernel = dim.size > 1 and all(axis in kernels for axis in variables(dim))
                dims.append(DimShare(name, index, dim.size, prunable_indices(dim, free), kernel, numel))
        return GraphReport(
            dims=tuple(dims),
            axes=len(graph.axes),
            prunable_axes=len(free),
            channels=sum(axis.size for axis in graph.axes),
            prunable_channels=sum(axis.size for axis in free),
            pins=_pins(graph.axes),
            troubles=_troubles(graph),
            outputs=_outputs(graph) if outputs else (),
            unused=tuple(name for name, numel in parameters.items() if numel and name not in graph._inference.state),
            notes=graph._program.notes,
            unquantized=find_weights(graph).others,
            coupled=coupled(graph, set(parameters), kernels),
        )

    def __str__(self) -> str:
        return text(self)


def _parameters(graph: ChannelGraph) -> dict[str, int]:
    """The parameters of the model itself, each once, with their numbers of entries."""
    root = graph._program.root
    own = tuple(f"{path}." for path, module in root.named_modules() if isinstance(module, Quantizer))
    return {name: p.numel() for name, p in root.named_parameters() if not name.startswith(own)}


def _kernel_axes(graph: ChannelGraph) -> set[Var]:
    """The axes of windows: the dims of a weight of which its operator's signature allows any number."""
    found: set[Var] = set()
    for mode in MODES:
        for step in graph._inference.steps[mode]:
            record, bound = step.record, step.call.binding
            if not isinstance(record, Pattern) or not isinstance(bound, Binding) or record.weight not in bound.names:
                continue
            pattern = read(record.signature).operands[record.operands.index(record.weight)]
            stars = [dim[0][1:] for dim in pattern if dim and dim[0][0] == "*"]
            for letter, dim in bound.dims.items():
                if any(letter.startswith(star) and letter.removeprefix(star).isdigit() for star in stars):
                    found.update(variables(dim))
    return found


def _pins(axes: Iterable[Axis]) -> tuple[PinGroup, ...]:
    by_reason: dict[str, list[Axis]] = {}
    for axis in axes:
        if axis._var.pin is not None:
            by_reason.setdefault(axis._var.pin.reason, []).append(axis)
    groups = (
        PinGroup(
            reason, len(found), sum(axis.size for axis in found), tuple(repr(axis.members[0]) for axis in found[:3])
        )
        for reason, found in by_reason.items()
    )
    return tuple(sorted(groups, key=lambda group: -group.channels))


def _troubles(graph: ChannelGraph) -> tuple[Trouble, ...]:
    """Each once, though both graphs may have it."""
    seen = {(t.target, t.module.split("@")[0], t.reason, t.node): t for t in graph._inference.troubles}
    return tuple(seen.values())


def _outputs(graph: ChannelGraph) -> tuple[OutputCost, ...]:
    """What each output that keeps its shape costs: the analysis, run once more for each of them alone."""
    from scfx.graph.channels import ChannelGraph

    call = graph._program.call
    modes: dict[str, dict[Mode, int]] = {}
    for mode in MODES:
        for position, name in enumerate(call.output_names[mode]):
            if graph._outputs is None or position in graph._outputs[mode]:
                modes.setdefault(name, {})[mode] = position
    if len(modes) > MOST_OUTPUTS:
        return ()

    def free(kept: dict[Mode, int]) -> int:
        only = {mode: {kept[mode]} if mode in kept else set[int]() for mode in MODES}
        return sum(axis.size for axis in ChannelGraph(graph._program, graph._keep, only)._prunable)

    now = sum(axis.size for axis in graph._prunable)
    unpinned = free({})
    alone = {name: now if len(modes) == 1 else free(kept) for name, kept in modes.items()}
    return tuple(
        OutputCost(name, tuple(kept), unpinned - alone[name], alone[name] - now) for name, kept in modes.items()
    )
