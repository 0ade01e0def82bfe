"""Pages of the site that lie outside `docs/`, and links that work in the repository and in the site alike.

Pages link each other by where they lie in the repository. While the site is built, links are led to where the same
files lie there. A link that leads nowhere in the site stays as it is, and mkdocs refuses it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]

#: What of the repository is in the site, beside all that lies in docs/: from where it lies to where it is there.
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "examples/README.md": "examples.md",
    "LICENSE": "license.txt",
}

#: What a browser loads by itself, as pictures, scripts, styles and fonts, from another machine.
OTHER_MACHINE = r"""["']?(?:https?:)?//"""
FETCHED = re.compile(rf"<(?!a\b)\w+[^>]*\b(?:src|href)={OTHER_MACHINE}[^>]*>|url\({OTHER_MACHINE}[^)]*\)")

LINK = re.compile(r"(?<=\]\()(?P<path>[^)#:\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files that lie elsewhere."""
    for source, place in ELSEWHERE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads the links of a page to where the files lie in the site."""
    return led(markdown, page.file.src_uri, set(files.src_uris))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuses a page that would fetch something from elsewhere."""
    fetched = FETCHED.search(output)
    if fetched:
        raise PluginError(f"{page.file.src_uri} would fetch something from elsewhere: {fetched[0]}")
    return output


def led(markdown: str, page: str, known: set[str]) -> str:
    """The text of a page, by its place in the site, with the links of the site; `known` are the places that exist."""
    source = next((source for source, place in ELSEWHERE.items() if place == page), f"docs/{page}")

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), found["path"]))
        place = ELSEWHERE.get(target, target.removeprefix("docs/"))
        return posixpath.relpath(place, posixpath.dirname(page) or ".") if place in known else found["path"]

    return LINK.sub(link, markdown)
