"""Writes docs/results.md and its pictures from the lines in results/: `python -m examples.results_page`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from examples.records import read
from examples.results import Run, baseline, grouped, name
from examples.results_pictures import draw

ROOT = Path(__file__).resolve().parents[1]

#: What the numbers don't say themselves; kept beside them.
NOTES = "notes.md"


def write_page(results: Path, page: Path) -> None:
    """Writes the page, and one picture for each network into the folder `results` next to it."""
    page.write_text(text(results))
    for group in all_groups(results):
        draw(page.parent / picture(group), group)


def text(results: Path) -> str:
    """The page, in Markdown: the notes, and a section for each network."""
    sections = [section(group) for group in all_groups(results)]
    return "\n\n".join([(results / NOTES).read_text().rstrip(), *sections]) + "\n"


def all_groups(results: Path) -> list[list[Run]]:
    """Everything in the folder, in the order of the page."""
    return list(grouped([run for path in sorted(results.glob("*.jsonl")) for run in read(path)]))


def picture(group: list[Run]) -> str:
    """The path of a picture, from the page; it stays when other runs are added."""
    first = group[0]
    words = f"{first['model']} {first['data'].split(' to learn')[0]}"
    slug = re.sub(r"\W+", "-", words.lower().replace(",", "")).strip("-")
    return f"results/{slug}.svg"


def section(group: list[Run]) -> str:
    """What is to be said about a network, in Markdown."""
    first = group[0]
    lines = [
        f"## {first['model']}",
        "",
        f"{first['data']}; in batches of {first['setting']['batch_size']}, "
        f"{first['dense']['weights']:,} weights. Before training: {first['measure']} {first['start_score']:.2f}.",
        "",
        f"| | {first['measure']} | weights left | bits left | bits a weight | with all else | "
        "processor seconds by epoch |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_row(run, group) for run in group),
        "",
        f"![Score against size, time, layers]({picture(group)})",
        "",
        f"Recipe: {_recipe(group)}.",
        "",
        f"{_setting(group)}.",
    ]
    return "\n".join(lines)


def _row(run: Run, group: list[Run]) -> str:
    dense, final = run["dense"], run["final"]
    other = baseline(run, group) if run["compressed"] else None
    difference = f" ({run['score'] - other['score']:+.2f})" if other else ""
    seconds = ", ".join(f"{epoch['cpu_seconds']:.0f}" for epoch in run["epochs"])
    cells = [
        name(run, group),
        f"{run['score']:.2f}{difference}",
        _share(final["weights"], dense["weights"]),
        _share(final["weight_bits"], dense["weight_bits"]),
        f"{final['weight_bits'] / final['weights']:.2f}",
        _share(final["all_bits"], dense["all_bits"]),
        seconds,
    ]
    return "| " + " | ".join(cells) + " |"


def _recipe(group: list[Run]) -> str:
    """The values that are the same in all compressed runs, or in all runs if there are none."""
    runs = [run for run in group if run["compressed"]]
    if not runs:
        runs, left_out = group, {"gamma", "start_bits", "until", "prune_every", "quantizer_lr", "quantizer_eps"}
    else:
        left_out = {"gamma", "until"}
    shown = []
    for key in runs[0]["recipe"]:
        values = sorted({run["recipe"][key] for run in runs if key in run["recipe"]}) if key not in left_out else []
        if values:
            shown.append(f"{key.replace('_', ' ')} {' or '.join(f'{value:g}' for value in values)}")
    return ", ".join(shown)


def _setting(group: list[Run]) -> str:
    """When, and on which machines with which versions."""
    dates = sorted(run["setting"]["date"] for run in group)
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    places = []
    for run in group:
        setting = run["setting"]
        place = (
            f"{_several(setting['threads'], 'thread')} of {setting['processor']} "
            f"({_several(setting['cores'], 'core')}), device {setting['device']}, "
            f"Python {setting['python']}, torch {setting['torch']}, scfx {setting['scfx']}"
        )
        places += [place] if place not in places else []
    return f"{when} UTC; {'; '.join(places)}"


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %"


def _several(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def main(arguments: list[str] | None = None) -> None:
    """Reads the options and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="folder with the lines and the notes")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/results.md", help="where to write")
    options = parser.parse_args(arguments)
    write_page(options.results, options.page)


if __name__ == "__main__":
    main()
