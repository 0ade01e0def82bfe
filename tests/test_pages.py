"""Every page of the documentation: its blocks run, it has its place in the site, and its links lead somewhere."""

import contextlib
import functools
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import yaml

import scfx
from docs import make_diagrams
from docs.hooks import ELSEWHERE, FETCHED, led
from scfx import CompressedModule
from scfx.commands import explain, graph, inspect, models
from scfx.signatures import TABLE
from tests.pages import PAGES, ROOT, blocks, check_command, run
from tests.processes import together


@contextlib.contextmanager
def lightnings_advice() -> Iterator[None]:
    """Lightning gives advice, and uses what torch has renamed."""
    from lightning.fabric.utilities.warnings import PossibleUserWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        yield


@contextlib.contextmanager
def no_accelerator() -> Iterator[None]:
    """The Trainer would pin memory if there were an accelerator."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'pin_memory' argument is set as true but no accelerator", UserWarning)
        yield


@contextlib.contextmanager
def the_rules_as_they_were() -> Iterator[None]:
    """A walk-through that takes a rule away puts it back, also if it fails."""
    before = dict(TABLE)
    try:
        yield
        assert before == TABLE, "the walk-through leaves the rule table as it was"
    finally:
        TABLE.clear()
        TABLE.update(before)


AROUND: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "CONTRIBUTING.md": the_rules_as_they_were,
    "docs/hugging-face.md": no_accelerator,
    "docs/lightning.md": lightnings_advice,
}

#: Pages in which somebody else's trainer, or a loop, trains a network, and where to find it.
TRAINED: dict[str, Callable[[dict[str, Any]], CompressedModule]] = {
    "docs/training.md": lambda names: names["net"],
    "docs/hugging-face.md": lambda names: names["net"],
    "docs/lightning.md": lambda names: names["trainer"].lightning_module.net,
}

IN_PROCESSES = "docs/distributed.md"


def alone() -> list[str]:
    """The pages that run in one process, those that analyse models of torchvision last."""
    hubs = {page: "torchvision:" in "".join(block.text for block in blocks(text)) for page, text in PAGES.items()}
    return sorted((page for page in PAGES if blocks(PAGES[page]) and page != IN_PROCESSES), key=lambda page: hubs[page])


analysed_hub = functools.cache(models.analysed)


@pytest.fixture
def analysed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that have a name are analysed once for all that pages ask of them, as that takes longest."""

    def analysed(name: str, *arguments: Any) -> models.Analysed:
        hashable = [tuple(each) if isinstance(each, list) else each for each in arguments]
        return models.analysed(name, *arguments) if ".py:" in name else analysed_hub(name, *hashable)

    for command in (inspect, explain, graph):
        monkeypatch.setattr(command, "analysed", analysed)


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A page runs in a folder of its own, and imports the files that it makes there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.usefixtures("analysed_once", "own_folder")
@pytest.mark.parametrize("page", alone())
def test_blocks_run(page: str) -> None:
    with AROUND.get(page, contextlib.nullcontext)():
        names = run(page)
    if page in TRAINED:
        assert TRAINED[page](names)._training.step > 0


def in_a_process() -> dict[str, Any]:
    """What torchrun starts has no group yet: its surroundings say where a store is, by which they find each other."""
    port = torch.zeros((), dtype=torch.int64)
    if dist.get_rank() == 0:
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
        port.fill_(store.port)
    dist.broadcast(port, 0)
    dist.destroy_process_group()
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(int(port)), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    net = run(IN_PROCESSES)["net"]
    return {name: tensor.tolist() for name, tensor in net.state_dict().items()}


def test_several_processes_run_the_script() -> None:
    one, two = together(in_a_process)
    assert one == two


def test_a_command_has_to_write_what_is_shown() -> None:
    check_command("scfx --version", f"scfx {scfx.__version__}\n")
    check_command("scfx --version", "scfx ...")
    check_command("scfx --version", "")
    with pytest.raises(AssertionError, match="scfx 0"):
        check_command("scfx --version", "scfx ...1.2.3")
    with pytest.raises(AssertionError, match="No such file"):
        check_command("scfx size nowhere", "")
    with pytest.raises(AssertionError, match="only scfx"):
        check_command("python --version", "")


def nav(entries: list[Any]) -> Iterator[str]:
    """The pages of a navigation, by their places in the site."""
    for entry in entries:
        (below,) = entry.values()
        yield from [below] if isinstance(below, str) else nav(below)


def test_every_page_has_its_place_in_the_site() -> None:
    shown = [*nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])]
    assert len(set(shown)) == len(shown)
    assert set(shown) == {ELSEWHERE.get(page, page.removeprefix("docs/")) for page in PAGES}


def links(page: str) -> list[str]:
    """Where the links of a page lead, outside of blocks and inline code, without what is not a file."""
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", PAGES[page], flags=re.M | re.S)
    return [link for link in re.findall(r"\]\(([^)#\s]+)", prose) if "://" not in link]


@pytest.mark.parametrize("page", [page for page in PAGES if links(page)])
def test_links_lead_somewhere(page: str) -> None:
    missing = [link for link in links(page) if not (ROOT / page).parent.joinpath(link).exists()]
    assert not missing


def test_links_are_led_to_where_files_lie_in_the_site() -> None:
    known = {"index.md", "contributing.md", "examples.md", "design.md", "results.md", "results/one.svg"}
    assert led("![x](docs/results/one.svg) [y](docs/design.md#5-why)", "index.md", known) == (
        "![x](results/one.svg) [y](design.md#5-why)"
    )
    assert led("[y](../CONTRIBUTING.md) [z](results.md)", "design.md", known) == "[y](contributing.md) [z](results.md)"
    assert led("[y](../docs/results.md) [z](../README.md)", "examples.md", known) == "[y](results.md) [z](index.md)"
    # What is not in the site stays as it is, so that mkdocs finds that it leads nowhere.
    as_it_is = "[y](scfx/module.py) [z](https://example.org/docs/design.md) [w](#why)"
    assert led(as_it_is, "index.md", known) == as_it_is


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://example.org/x.js"></script>',
        "<img alt='x' src='//example.org/x.png'>",
        '<link rel="stylesheet" href="http://example.org/x.css">',
        '<style>@import url("https://example.org/x.css");</style>',
    ],
)
def test_a_page_that_fetches_something_from_elsewhere_is_refused(html: str) -> None:
    assert FETCHED.search(f"<p>{html}</p>")


@pytest.mark.parametrize("html", ['<a class="x" href="https://example.org">y</a>', '<img src="x.svg">', "// https://x"])
def test_links_and_what_is_beside_a_page_are_not(html: str) -> None:
    assert not FETCHED.search(html)


def test_every_picture_is_shown_somewhere() -> None:
    shown = {(ROOT / page).parent.joinpath(link).resolve() for page in PAGES for link in links(page)}
    pictures = {path for ending in ("svg", "png") for path in (ROOT / "docs").glob(f"**/*.{ending}")}
    assert pictures
    assert not pictures - shown


def test_the_diagrams_are_those_that_the_script_draws(tmp_path: Path) -> None:
    make_diagrams.main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (ROOT / "docs").glob("diagram-*.svg")}
