"""One HTML file with a channel graph to walk about in: no network, no other files, nothing but what stands in it."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from scfx.capture.program import Mode
from scfx.reporting.page_data import page_data

if TYPE_CHECKING:
    from scfx.graph.channels import ChannelGraph

#: The parts of the page's program, in the order in which they run.
SCRIPTS = ("views.js", "arranging.js", "lines.js", "boxes.js", "search.js", "page.js")


def page(graph: ChannelGraph, mode: Mode = "eval", before: ChannelGraph | None = None, start: str = "") -> str:
    """The page of one graph of a model.

    Names come from the model, and so from anybody. They are in the page as JSON without a "<", and its program makes
    text of them and nothing else; the page's policy lets no other program run and nothing be fetched.

    Args:
        graph: The channel graph.
        mode: The graph to show.
        before: That of the same model before it lost channels, for the slider; None leaves the slider out.
        start: What it shows first: the path of a module, or a dim, as "fc.weight[1]"; else the whole model.

    Raises:
        InputError: `before` is the graph of another model, or had fewer channels.
    """
    script = "\n".join(_source(name) for name in SCRIPTS)
    style = _source("page.css")
    parts = {
        "POLICY": f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'",
        "STYLE": style,
        "DATA": as_json({"start": start, **page_data(graph, mode, before)}),
        "SCRIPT": script,
    }
    pieces = _source("page.html").split("@@")
    return "".join(parts.get(piece, piece) for piece in pieces)


def as_json(data: Any) -> str:
    """JSON that an HTML parser finds no tag and no end of a script in."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _source(name: str) -> str:
    return files("scfx.reporting").joinpath("browser", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
