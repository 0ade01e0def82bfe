"""A graph report as aligned plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from scfx.reporting.wording import shortened

if TYPE_CHECKING:
    from scfx.graph.quantization import Unquantized
    from scfx.reporting.report import DimShare, GraphReport

#: How many lines a section of the printed report has at most.
LINES = 24


def text(report: GraphReport) -> str:
    """The whole report."""
    return "\n".join(
        [
            *_summary(report),
            *_dims(report),
            *_pins(report),
            *_outputs(report),
            *_troubles(report),
            *_unquantized(report),
            *_unused(report),
            *_notes(report),
        ]
    )


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Rows as aligned columns; those in `right` are flushed right."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))] if rows else []
    return [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _summary(report: GraphReport) -> Iterator[str]:
    what = "of the dims of parameters is prunable, weighted by entries, convolution windows aside"
    yield f"{percent(report.share)} {what}"
    yield (
        f"{report.prunable_axes:,} of {report.axes:,} axes are prunable, "
        f"{report.prunable_channels:,} of {report.channels:,} channels"
    )


def _dims(report: GraphReport) -> Iterator[str]:
    """The parameters that aren't prunable all along, one line each; the others in one line."""
    rows: list[list[str]] = []
    whole = 0
    for name, group in groupby(report.dims, lambda dim: dim.name):
        dims = list(group)
        if all(dim.kernel or dim.size in (1, dim.prunable) for dim in dims):
            whole += 1
        else:
            rows.append([name, " x ".join(f"{dim.size:,}" for dim in dims), ", ".join(map(_dim, dims))])
    yield ""
    yield "prunable share of each dim of a parameter:"
    yield from (f"  {line}" for line in shortened(columns(rows), LINES, "more parameters"))
    if whole:
        others = "other " if rows else ""
        yield f"  {whole:,} {others}{'parameter' if whole == 1 else 'parameters'}: all of every dim"


def _dim(dim: DimShare) -> str:
    return "window" if dim.kernel else "-" if dim.size == 1 else percent(dim.share)


def _pins(report: GraphReport) -> Iterator[str]:
    if not report.pins:
        return
    yield ""
    yield "pinned axes by reason:"
    rows = [
        [
            group.reason,
            f"{group.axes:,} {'axis' if group.axes == 1 else 'axes'}",
            f"{group.channels:,} channels",
            ", ".join(group.examples) + (", ..." if group.axes > len(group.examples) else ""),
        ]
        for group in report.pins
    ]
    yield from (f"  {line}" for line in shortened(columns(rows, frozenset({1, 2})), LINES, "more reasons"))


def _outputs(report: GraphReport) -> Iterator[str]:
    best = max(report.outputs, key=lambda cost: cost.gain, default=None)
    if best is None or len(report.outputs) < 2 or not any(cost.channels for cost in report.outputs):
        return
    yield ""
    yield "channels that each output pins:"
    several = {cost.modes for cost in report.outputs} != {report.outputs[0].modes}
    rows = [
        [
            cost.name or "the output",
            f"{cost.channels:,}",
            f"in {cost.modes[0]} mode only" if several and len(cost.modes) == 1 else "",
        ]
        for cost in report.outputs
    ]
    yield from (f"  {line}" for line in shortened(columns(rows, frozenset({1})), LINES, "more outputs"))
    if best.gain > 0:
        example = f"outputs={best.name or 0!r} would leave {best.gain:,} more channels prunable"
        yield f"  If only some of them matter, name them: {example}."


def _troubles(report: GraphReport) -> Iterator[str]:
    if not report.troubles:
        return
    yield ""
    yield "operators without a rule that fits, which pin what they touch (to add a record see CONTRIBUTING.md):"
    rows = [[t.target, t.node, t.module.split("@")[0] or "the model itself", t.reason] for t in report.troubles]
    yield from (
        f"  {line}"
        for line in shortened(columns([["operator", "node", "module", "why"], *rows]), LINES, "more operators")
    )


def _notes(report: GraphReport) -> Iterator[str]:
    if report.notes:
        yield ""
        yield from report.notes


def _unquantized(report: GraphReport) -> Iterator[str]:
    if not report.unquantized:
        return
    yield ""
    yield "parameters of several dims that get no quantizer, and why:"
    by_reason: dict[str, list[Unquantized]] = {}
    for parameter in report.unquantized:
        by_reason.setdefault(parameter.reason, []).append(parameter)
    rows = [
        [reason, f"{sum(each.numel for each in found):,} entries", ", ".join(shortened([e.name for e in found], 3))]
        for reason, found in sorted(by_reason.items(), key=lambda item: -sum(each.numel for each in item[1]))
    ]
    yield from (f"  {line}" for line in shortened(columns(rows, frozenset({1})), LINES, "more reasons"))


def _unused(report: GraphReport) -> Iterator[str]:
    if report.unused:
        yield ""
        yield f"parameters that the model doesn't compute with: {', '.join(shortened(report.unused, 8))}"


def percent(share: float) -> str:
    """A share as a percentage that is 100 % only if nothing is missing, and 0 % only if nothing is there."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    return f"{min(max(100 * share, 0.1), 99.9):.1f} %"
