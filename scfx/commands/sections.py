"""What `scfx inspect` says of a graph report, section by section, as rows of text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from scfx.commands.alike import alike
from scfx.reporting.report import DimShare, GraphReport
from scfx.reporting.report_text import percent

#: What the cells of a column of whether say.
YES, NO = "yes", "no"


@dataclass(frozen=True)
class Section:
    """A table, or a list, with a heading.

    Attributes:
        title, remark: The heading, and what has to be known to read on.
        rows: The cells; of a list, one in each row.
        columns: Their headings; none for a list. Those that end in ">" are flushed right, "+" breaks lines if need be.
        after: A sentence behind the rows.
    """

    title: str
    rows: Sequence[Sequence[str]]
    columns: Sequence[str] = ()
    remark: str = ""
    after: str = ""


def sections(report: GraphReport, parameters: int, everything: bool) -> Iterator[Section]:
    """The sections that have something to say.

    Args:
        report: The report.
        parameters: How many entries the parameters of the model have together.
        everything: Whether to list parameters, too, of which all can be pruned.
    """
    yield _coupled(report, parameters)
    yield _dims(report, everything)
    yield Section(
        "What stays, and why",
        [(f"{pin.channels:,}", f"{pin.axes:,}", pin.reason, pin.examples[0]) for pin in report.pins],
        ("channels>", "axes>", "because+", "such as+"),
    )
    yield _outputs(report)
    yield Section(
        "Operators without a rule that fits",
        [(f"{t.target} in {t.module.split('@')[0] or 'the model itself'}: {t.reason}",) for t in report.troubles],
        remark="they pin what they touch",
    )
    unquantized = alike(report.unquantized, lambda each: each.name, lambda each: each.reason)
    yield Section(
        "Parameters that get no quantizer",
        [(f"{_times(len(group))}{name}: {group[0].reason}",) for name, group in unquantized],
    )
    unused = alike(report.unused, str, lambda _: None)
    yield Section(
        "Parameters that nothing is computed with", [(f"{_times(len(group))}{name}",) for name, group in unused]
    )
    yield Section("Notes", [(note,) for note in report.notes])


def _coupled(report: GraphReport, parameters: int) -> Section:
    """The axes by weight, layers that repeat together; a single channel can't go and so isn't shown."""
    groups = alike(
        (each for each in report.coupled if each.channels > 1),
        lambda each: each.name,
        lambda each: (each.channels, each.entries, each.dims, each.pinned is None),
    )
    rows = [
        (
            f"{_times(len(group))}{group[0].channels:,}",
            percent(group[0].entries * len(group) / parameters),
            f"{group[0].dims:,}",
            YES if group[0].pinned is None else NO,
            name,
        )
        for name, group in sorted(groups, key=lambda named: -sum(each.entries for each in named[1]))
    ]
    remark = "channels that go together; weights are in several"
    return Section(
        "Heaviest coupled groups", rows, ("channels>", "weights>", "dims>", "prunable", "first dim+"), remark
    )


def _dims(report: GraphReport, everything: bool) -> Section:
    """The parameters that aren't prunable all along; the others in one line."""
    parameters = [(name, tuple(dims)) for name, dims in groupby(report.dims, lambda dim: dim.name)]
    shown = [each for each in parameters if everything or not _whole(each[1])]
    rows = []
    for name, group in alike(shown, lambda each: each[0], lambda each: tuple((d.size, d.prunable) for d in each[1])):
        dims = group[0][1]
        shape = " x ".join(f"{dim.size:,}" for dim in dims)
        rows.append((_times(len(group)).strip(), name, shape, ", ".join(map(_share, dims))))
    rest = len(parameters) - len(shown)
    after = f"{rest:,} {'other ' if shown else ''}parameter{'s'[: rest != 1]}: all of every dim" if rest else ""
    return Section("Prunable share of each dim", rows, (">", "parameter+", "shape", "prunable"), after=after)


def _whole(dims: Sequence[DimShare]) -> bool:
    return all(dim.kernel or dim.size in (1, dim.prunable) for dim in dims)


def _share(dim: DimShare) -> str:
    return "window" if dim.kernel else "-" if dim.size == 1 else percent(dim.share)


def _outputs(report: GraphReport) -> Section:
    """What each output costs, where there are several."""
    if len(report.outputs) < 2 or not any(cost.channels for cost in report.outputs):
        return Section("", ())
    several = len({cost.modes for cost in report.outputs}) > 1
    rows = [
        (
            f"{cost.channels:,}",
            _plain(cost.name),
            f"in {cost.modes[0]} mode only" if several and len(cost.modes) == 1 else "",
        )
        for cost in report.outputs
    ]
    best = max(report.outputs, key=lambda cost: cost.gain)
    advice = f"If only some matter, name them: --outputs {_plain(best.name)} frees {best.gain:,} more channels."
    after = advice if best.gain > 0 else ""
    return Section("Channels that each output pins", rows, ("channels>", "output+", ""), after=after)


def _plain(output: str) -> str:
    """The path of an output as it is easily typed: "['logits']" as "logits"."""
    return re.sub(r"\['([^']*)'\]", r".\1", output).strip(".")


def _times(count: int) -> str:
    return f"{count:,} x " if count > 1 else ""
