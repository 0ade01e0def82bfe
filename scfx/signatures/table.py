"""The operator table of the documentation: `python -m scfx.signatures.table docs/operators.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from scfx.signatures import FAMILIES
from scfx.signatures.notation import read
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Record

_INTRODUCTION = """\
# Operators

What scfx knows of each operator, generated from the rule table in `scfx/signatures` by
`python -m scfx.signatures.table docs/operators.md`.

A signature names the dims of the operands and of the results: equal letters are the same dim, `(g o)` is a row-major
product, `*s` stands for any number of dims. Channels of a *contracted* dim can go where one of the factors is zero;
those of a *statistic* where the value is zero, and the original count is kept; *rigid* dims are pinned; along all
others the operator treats each index on its own. An operator without a signature here has a rule in code, which may
depend on its arguments.

Every operator that ATen itself tags as element-wise is known too. An operator that is not known pins what it touches,
and `scfx.channel_graph(...).report()` names it.
"""


def render() -> str:
    """The whole page."""
    return "\n".join(
        [_INTRODUCTION, *(line for family in FAMILIES for line in _section(family.__doc__ or "", family.RECORDS))]
    )


def _section(doc: str, records: tuple[Record, ...]) -> Iterator[str]:
    yield f"## {doc.splitlines()[0].partition(':')[0].rstrip('.')}\n"
    yield "| operators | what they do | signature | sinks and rigid dims |"
    yield "| --- | --- | --- | --- |"
    for record in records:
        names = ", ".join(f"`{target.removeprefix('aten.').removesuffix('.default')}`" for target in record.targets)
        shown = record.usual if isinstance(record, Choice) else record
        pattern = shown if isinstance(shown, Pattern) else None
        signature = f"`{read(pattern.signature)}`" if pattern else ""
        yield f"| {names} | {record.doc} | {signature} | {_kinds(pattern) if pattern else ''} |"
    yield ""


def _kinds(pattern: Pattern) -> str:
    signature = read(pattern.signature)
    sides = (*signature.operands, *signature.results)
    letters = dict.fromkeys(letter for dims in sides for dim in dims for letter in dim)
    known = f"{pattern.pointwise} {pattern.contract} {pattern.statistic} {pattern.free}".split()
    rigid = " ".join(letter for letter in letters if letter not in known)
    kinds = {"contract": pattern.contract, "statistic": pattern.statistic, "rigid": rigid}
    return ", ".join(f"{kind} `{words}`" for kind, words in kinds.items() if words)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
