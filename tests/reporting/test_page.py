"""The page of a channel graph, driven in a browser without a screen; and what of it needs no browser."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from playwright.sync_api import BrowserContext, Page, sync_playwright
from torch import Tensor, nn

import scfx

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("gpu", "background-networking", "component-update", "sync")

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium here: make browser")

HOSTILE = "</script><img src='x' onerror='title = 1'>&"


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 12), nn.Linear(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        down: Tensor = self.down(torch.relu(self.up(x)))
        return x + down


class Toy(nn.Module):
    """A stem, three blocks that are alike, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(3, 8)
        self.blocks = nn.ModuleList(Block() for _ in range(3))
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(x)
        return logits


@dataclass
class Visit:
    """A page that is open, and what went wrong in it."""

    page: Page
    troubles: list[str] = field(default_factory=list)

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()

    def lit(self) -> list[str]:
        """The dims that are lit up."""
        found = self.page.locator(".chip.lit").evaluate_all("all => all.map(e => e.dataset.tensor + e.dataset.dim)")
        return sorted(found)


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with sync_playwright() as driver:
        options = ["--no-sandbox", "--no-first-run", *(f"--disable-{part}" for part in QUIET)]
        chromium = driver.chromium.launch(executable_path=BROWSER, headless=True, args=options)
        yield chromium.new_context(viewport={"width": 1300, "height": 900})
        chromium.close()


def visit(browser: BrowserContext, path: Path) -> Visit:
    """Opens a page, and takes down what it says on its console and what it asks the network for."""
    page = browser.new_page()
    found = Visit(page)
    page.on("console", lambda message: found.troubles.append(message.text))
    page.on("pageerror", lambda error: found.troubles.append(str(error)))
    page.on("request", lambda request: found.troubles.append(request.url) if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the toy before and after it has lost channels."""
    torch.manual_seed(0)
    net = scfx.compress(Toy(), torch.randn(4, 3), quantize=False)
    before = scfx.channel_graph(Toy(), torch.randn(4, 3))
    with torch.no_grad():
        up = net.get_parameter("blocks.1.up.weight")
        up[:9] = 0
        net.get_parameter("blocks.1.up.bias")[:9] = 0
    assert net.prune()
    path = tmp_path_factory.mktemp("page") / "toy.html"
    net.channels.render(path, before=before)
    return path


@needs_browser
def test_zooms_search_light_and_slider(browser: BrowserContext, written: Path) -> None:
    seen = visit(browser, written)
    page = seen.page
    # The model: three blocks that are alike are one.
    assert seen.texts(".times") == ["\N{MULTIPLICATION SIGN} 3"]
    assert "Toy" in page.title()
    # All that is coupled with a dim lights up.
    page.hover('.chip[data-tensor="stem.weight"][data-dim="0"]')
    assert seen.lit() == ["blocks.0.up.weight1", "head.weight1", "stem.bias0", "stem.weight0"]
    # A block.
    page.click(".block .open")
    page.wait_for_url("**#block=blocks.0")
    page.locator(".operator .name", has_text="up").wait_for()
    assert {"linearup", "lineardown"} <= set(seen.texts(".operator .name"))
    # An axis, with what is said of it.
    page.click('.chip[data-tensor="blocks.0.up.weight"][data-dim="0"]')
    assert "blocks.0.up.weight, dimension 0, of size 12" in page.inner_text(".explain")
    assert [text for text in seen.texts(".plain") if "relu" in text]
    for place in ("block=blocks.0", "block=blocks", "top"):
        page.keyboard.press("Escape")
        page.locator(".explain").wait_for(state="detached")
        page.wait_for_url(f"**#{place}")
    # Search, by keyboard alone.
    page.keyboard.press("/")
    page.keyboard.type("blocks.1.up")
    assert "blocks.1.up.weight" in seen.texts("#found b")
    page.keyboard.press("Enter")
    page.locator(".found").wait_for()
    assert page.url.partition("#")[2].startswith("block=blocks.1")
    # Before and after.
    chip = page.locator('.chip[data-tensor="blocks.1.up.weight"][data-dim="0"] .value')
    assert chip.inner_text() == "3"
    page.fill("#slider", "0")
    assert chip.inner_text() == "12"
    page.fill("#slider", "100")
    assert chip.inner_text() == "3"
    # Light and dark.
    colours = [page.evaluate("getComputedStyle(document.body).backgroundColor")]
    page.click("#theme")
    colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]
    assert seen.troubles == []
    page.close()


@needs_browser
def test_a_page_begins_where_it_is_asked_to(browser: BrowserContext, tmp_path: Path) -> None:
    graph = scfx.channel_graph(Toy(), torch.randn(4, 3))
    for of in ("blocks.2", "head.weight[1]", "head.weight[-1]"):
        graph.render(tmp_path / "x.html", of=of)
        seen = visit(browser, tmp_path / "x.html")
        assert seen.page.inner_text("#side h2") == of.replace("-", "")
        assert seen.troubles == []
        seen.page.close()
    with pytest.raises(scfx.InputError, match="there is no dimension 2"):
        graph.render(tmp_path / "y.html", of="head.weight[2]")
    with pytest.raises(scfx.UnknownNameError, match="nowhere"):
        graph.render(tmp_path / "y.html", of="nowhere")
    assert not (tmp_path / "y.html").exists()


@needs_browser
def test_names_are_text_and_nothing_else(browser: BrowserContext, tmp_path: Path) -> None:
    graph = scfx.channel_graph(hostile(), torch.randn(4, 3))
    graph.render(tmp_path / "x.html")
    seen = visit(browser, tmp_path / "x.html")
    page = seen.page
    assert any(HOSTILE in text for text in seen.texts(".kind, .open, .end, .node"))
    page.keyboard.press("/")
    page.keyboard.type("onerror")
    assert any(HOSTILE in text for text in seen.texts("#found li"))
    page.keyboard.press("Enter")
    assert page.locator("img").count() == 0
    assert page.evaluate("typeof title") != "number"
    assert seen.troubles == []
    page.close()


def hostile() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), Named())


class Named(nn.Module):
    """A module of which a part has a name that no person gives."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module(HOSTILE, nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = getattr(self, HOSTILE)(x)
        return result


def test_data_has_nothing_that_html_would_read(tmp_path: Path) -> None:
    graph = scfx.channel_graph(hostile(), torch.randn(4, 3))
    graph.render(tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text()
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    assert found
    assert not set("<>&") & set(found[1])
    data = json.loads(found[1])
    assert any(HOSTILE in name for name in data["tensors"])
    assert text.count("<script") == 2
    assert "default-src 'none'" in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), "nothing is fetched"


def test_a_large_model_makes_a_page_that_can_be_sent(tmp_path: Path) -> None:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    graph = scfx.channel_graph(nn.TransformerEncoder(layer, 12, enable_nested_tensor=False), torch.randn(2, 5, 32))
    graph.render(tmp_path / "x.html")
    assert 20_000 < (tmp_path / "x.html").stat().st_size < 1_000_000
