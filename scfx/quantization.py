"""Which parameters are weights to quantize, and along which dim: read off the signatures."""

from __future__ import annotations

from dataclasses import dataclass

from scfx.channels import ChannelGraph
from scfx.program import MODES


@dataclass(frozen=True)
class WeightUse:
    """How a weight is to be quantized.

    Attributes:
        dim: Its output dimension.
        groups: More than 1 for grouped transposed convolutions: see `scfx.quantizer.Quantizer`.
        quantizer: The path of its quantizer, beside the weight.
    """

    dim: int
    groups: int
    quantizer: str


def weight_uses(graph: ChannelGraph) -> dict[str, WeightUse]:
    """Every floating-point parameter that is some operator's weight, by state-dict name; the first use decides."""
    uses: dict[str, WeightUse] = {}
    for mode in MODES:
        for step in graph._inference.steps[mode]:
            for operand, factors in step.record.weights(step.call).items():
                node = step.call.node_of(operand)
                if node.op != "get_attr" or str(node.target) in uses:
                    continue
                name, dtype = str(node.target), node.meta["dtype"]
                place = _place(factors)
                if place is not None and name in graph._parameters and dtype.is_floating_point:
                    uses[name] = WeightUse(*place, quantizer=f"{name}_quantizer")
    return uses


def _place(factors: tuple[tuple[tuple[bool, int], ...], ...]) -> tuple[int, int] | None:
    """The output dim and the groups, from what each row-major factor of each dim is: (makes output?, size)."""
    made = [dim for dim, parts in enumerate(factors) if parts and all(output for output, _ in parts)]
    mixed = [dim for dim, parts in enumerate(factors) if any(o for o, _ in parts) and not all(o for o, _ in parts)]
    if not mixed:
        return (made[0], 1) if made else None
    groups = [size for output, size in factors[mixed[0]] if output]
    return (made[0], groups[0]) if mixed == [0] and made == [1] and len(groups) == 1 else None
