"""Takes pictures of the page of a channel graph, and of the command line, for `docs/pictures.md`.

Run `python docs/make_screenshots.py` from the repository root, with the extra `dev` installed and Chromium there
(`make browser`). It takes about a minute.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.text import Text

from scfx.commands.models import analysed

HERE = Path(__file__).resolve().parent
SEEN = ("torchvision:resnet50", "hf:bert")


def main() -> None:
    """Makes the pages, looks at them, and at the command line."""
    terminal(HERE / "screenshot-inspect.svg", "inspect", "torchvision:resnet18")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1200, "height": 780})
        for model in SEEN:
            path = Path(folder) / f"{model.partition(':')[2]}.html"
            analysed(model, (), (), False).graph.render(path)
            page.goto(path.as_uri())
            look(page, f"{path.stem}-model")
        page.goto((Path(folder) / "resnet50.html").as_uri() + "#block=layer2.0")
        page.hover('.chip[data-tensor="layer2.0.conv3.weight"][data-dim="0"]')
        look(page, "resnet50-coupled")
        page.click('.chip[data-tensor="layer2.0.conv3.weight"][data-dim="0"]')
        page.locator(".explain").wait_for()
        page.click("#theme")
        page.mouse.move(0, 0)
        look(page, "resnet50-axis")
        chromium.close()


def look(page: Page, name: str) -> None:
    """Writes what is to be seen of a page."""
    page.wait_for_timeout(300)  # colours fade
    page.screenshot(path=HERE / f"screenshot-{name}.png")


def terminal(path: Path, *arguments: str) -> None:
    """Writes what a command prints, as a picture of a terminal."""
    ran = subprocess.run([sys.executable, "-m", "scfx", *arguments], capture_output=True, text=True, check=True)
    console = Console(record=True, width=84, file=io.StringIO())
    console.print(Text(f"$ scfx {' '.join(arguments)}", style="bold"))
    console.print(Text(ran.stdout))
    drawn = console.export_svg(title="scfx")
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)  # it would be fetched from elsewhere
    path.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
