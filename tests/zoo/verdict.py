"""Results in words and numbers, as the terminal and the coverage page show them."""

import re
import statistics
from collections.abc import Sequence

from tests.zoo.result import Result

ENOUGH = 0.75
"""A model of which less is prunable is explained."""

_FOLDERS = re.compile(r"/\S*/(?:site-packages/|(?=(?:tests|scfx|passes)/))")
"""What stands before the part of a path that means something on another machine."""


def percent(share: float | None) -> str:
    """Return a share as a percentage that is 100 % only if nothing is missing."""
    if share is None:
        return ""
    return "100 %" if share == 1 else f"{min(100 * share, 99.9):.1f} %"


def cause(result: Result, longest: int = 200) -> str:
    """Return why a model did not get further: the stage and the first lines of the message, on one line."""
    text = _FOLDERS.sub("", " ".join(result.failure.split()))
    return f"{result.stage}: {text if len(text) <= longest else text[: longest - 4] + ' ...'}"


def verdict(result: Result) -> str:
    """Return one line on a result."""
    if not result.exact:
        return cause(result)
    worst = max(result.errors.values())
    rules = f", {len(result.troubles)} operators without a rule" if result.troubles else ""
    return f"exact ({worst:.0e}), {percent(result.share)} prunable, {percent(result.left)} of the weights left{rules}"


def explanation(result: Result, note: str) -> str:
    """Return one line on where the rest of the prunable share is: the note, or the largest losses."""
    if note:
        return note
    told = [loss for loss in result.losses if loss.share >= 0.02][:4]
    return "; ".join(f"{percent(loss.share)} {loss.reason}" for loss in told) or "many small reasons"


def summary(results: Sequence[Result]) -> list[str]:
    """Return how many were captured and exact, the median share and the slowest analysis, a line each."""
    captured = [result for result in results if result.captured]
    shares = [result.share for result in captured if result.share is not None]
    analyses = [result.analyse_ms for result in captured if result.analyse_ms is not None]
    without = sorted({trouble.target for result in captured for trouble in result.troubles})
    lines = [
        f"{len(captured)} of {len(results)} captured in both modes",
        f"{sum(result.exact for result in captured)} of {len(captured)} captured are exact",
    ]
    if shares:
        few = sum(share < ENOUGH for share in shares)
        lines.append(f"median prunable share of dims {percent(statistics.median(shares))}, {few} models under 75 %")
    lines.append(f"operators without a rule that fits: {', '.join(without) or 'none'}")
    if analyses:
        lines.append(f"analysis: median {statistics.median(analyses):.0f} ms, slowest {max(analyses):.0f} ms")
    return lines
