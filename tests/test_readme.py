"""The README's examples run as they stand, top to bottom, as a reader would paste them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def python_blocks(text: str) -> list[tuple[int, str]]:
    """Every fenced python block of a Markdown text, with the number of its first line."""
    fences = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, fence.start(1)), fence[1]) for fence in fences]


def test_examples_run() -> None:
    blocks = python_blocks(README)
    assert blocks
    names: dict[str, object] = {"__name__": "readme"}
    for line, block in blocks:
        # Empty lines in front, so that an error names the line of README.md.
        exec(compile("\n" * line + block, "README.md", "exec"), names)


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)", README)
    local = [target for target in targets if "://" not in target]
    assert local
    missing = [target for target in local if not (ROOT / target).exists()]
    assert not missing
