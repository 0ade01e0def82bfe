"""Writes docs/coverage.md from remembered results: a summary, and a table for each source of models."""

import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.zoo.model import ZooModel
from tests.zoo.result import Result
from tests.zoo.verdict import ENOUGH, cause, explanation, percent, summary

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coverage.md"

SOURCES = {
    "torchvision": "torchvision",
    "timm": "timm",
    "hf": "Hugging Face transformers",
    "own": "Written by hand",
}

INTRODUCTION = """\
# Coverage

Which architectures the library takes, how much of them it can prune, and whether that is exact. Written by
`python -m tests.zoo`; each model is as small as it can be without becoming another architecture, in double precision,
with random weights. No model is annotated.

- **captured**: in train and eval mode, for any batch size.
- **prunable**: the mean prunable share of all dims of parameters but convolution windows, each weighed with the number
  of the parameter's entries. Image channels, vocabularies and classes are fixed and count as not prunable.
- **no rule**: operators that pin what they touch because the library does not know them.
- **pinned for**: the reasons that most of the rest is lost to.
- **eval, train, gradients, second**: the worst relative error of outputs in both modes, of the gradients of all
  parameters and inputs, and of everything after a second pruning, against the original module. Two rounds of zeroed
  channels are pruned (three of torchvision's convolutional classifiers), with the next optimizer step compared as well.
  Up to 1e-10 is called exact.
- **capture, analyse, prune**: processor time of one core; long analyses were timed again, alone on the machine, by
  `python -m tests.zoo.retime`.
"""

HEAD = (
    "| model | captured | prunable | no rule | pinned for | eval | train | gradients | second | capture s | analyse ms "
    "| prune ms |\n| --- | --- | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def page(listed: Mapping[str, Sequence[ZooModel]], results: Mapping[str, Result]) -> str:
    """Return the page.

    Args:
        listed: The models of each source.
        results: What is known of them. Models without a result are named as such.
    """
    known = [results[model.name] for models in listed.values() for model in models if model.name in results]
    lines = [INTRODUCTION, "## Summary", "", *(f"- {line}" for line in summary(known)), "", *_circumstances(known)]
    for source, models in listed.items():
        found = [results[model.name] for model in models if model.name in results]
        lines += ["", f"## {SOURCES[source]}", "", *(f"- {line}" for line in summary(found)), "", HEAD]
        lines += [_row(result) for result in found]
        if missing := [model.name for model in models if model.name not in results]:
            lines += ["", f"Not run: {', '.join(missing)}."]
        lines += _remarks(models, results)
    return "\n".join(lines) + "\n"


def _circumstances(results: Sequence[Result]) -> Iterator[str]:
    days = sorted({result.date for result in results if result.date})
    packages = ("torch", "torchvision", "timm", "transformers")
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    when = " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "never"
    yield f"Run {when} with Python {platform.python_version()}, {versions}, on {_machine()}."


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(absent)"


def _machine() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.machine()}"


def _row(result: Result) -> str:
    errors = [f"{result.errors[kind]:.0e}" if kind in result.errors else "" for kind in _KINDS]
    pins = "; ".join(f"{_cell(loss.reason)} {percent(loss.share)}" for loss in result.losses[:3] if loss.share >= 0.01)
    rules = ", ".join(f"`{trouble.target}`" for trouble in result.troubles)
    captured = "yes" if result.captured else "no"
    times = [_number(result.capture_s, 1), _number(result.analyse_ms, 0), _number(result.prune_ms, 0)]
    name = result.name.partition("/")[2]
    return f"| {' | '.join([name, captured, percent(result.share), rules, pins, *errors, *times])} |"


_KINDS = ("eval", "train", "gradients", "second")


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _remarks(models: Sequence[ZooModel], results: Mapping[str, Result]) -> Iterator[str]:
    """Yield what did not work with its cause, and why little is prunable where it is little."""
    found = [(model, results[model.name]) for model in models if model.name in results]
    failed = [f"- {result.name}: {_cell(cause(result, 400))}" for _, result in found if not result.exact]
    low = [
        f"- {result.name} {percent(result.share)}: {_cell(explanation(result, model.note))}"
        for model, result in found
        if result.share is not None and result.share < ENOUGH
    ]
    if failed:
        yield from ("", "Not captured or not shown to be exact:", "", *failed)
    if low:
        yield from ("", f"Under {ENOUGH:.0%} prunable, where the rest is:".replace("%", " %"), "", *low)
