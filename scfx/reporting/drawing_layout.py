"""From DOT source to a picture file: graphviz in a process of its own, and files that are whole or not there."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from scfx.errors import InputError, ScfxError
from scfx.whole import whole

#: The formats that `render` writes, by the ending of the file name.
FORMATS = ("svg", "png", "pdf", "dot", "html")

#: Those that graphviz draws.
_DRAWN = ("svg", "png", "pdf")

#: How long graphviz may take, in seconds, and how it ranks nodes and draws lines then: first well, else more simply.
EFFORTS: tuple[tuple[int, str], ...] = (
    (60, 'newrank="true";'),
    (60, 'newrank="true"; splines="line"; nslimit="1"; mclimit="0.2";'),
    (120, 'splines="line"; nslimit="0.2"; mclimit="0.2";'),
)

# In a process of its own graphviz can be stopped and can crash (on tangled graphs it does), and what it and its font
# library say stays out of the terminal.
_SCRIPT = """
import sys
from pygraphviz import AGraph
picture = AGraph(string=sys.stdin.buffer.read().decode()).draw(format=sys.argv[1], prog="dot")
sys.stdout.buffer.write(picture)
"""


def format_of(path: Path) -> str:
    """The format that the ending of a file name stands for.

    Raises:
        InputError: It stands for none; the message has those that there are.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        endings = ", ".join(f".{form}" for form in FORMATS)
        raise InputError(
            f"the ending of the file name chooses the format: {path.name!r} has to end in one of {endings}"
        )
    return ending


def check_drawable(path: Path) -> str:
    """The format of a picture that is to be written, once it is known that it can be.

    Raises:
        InputError: The ending of its name stands for no format.
        ScfxError: There is no such folder, or pygraphviz is missing.
    """
    form = format_of(path)
    if not path.absolute().parent.is_dir():
        raise ScfxError(f"cannot write {path}: there is no directory {path.absolute().parent}")
    if form in _DRAWN and importlib.util.find_spec("pygraphviz") is None:
        raise ScfxError(
            "drawing needs pygraphviz, whose wheels bring graphviz along: pip install 'scfx[draw]'. "
            "Without it a graph can be written as .html, to walk about in, and as .dot, for any graphviz to draw."
        )
    return form


def draw(source: str, form: str) -> bytes:
    """Lays out a graph in DOT, without the closing brace, and returns the picture; the source itself for "dot".

    Raises:
        ScfxError: Graphviz failed.
    """
    if form == "dot":
        return f"{source}}}\n".encode()
    trouble = ""
    for seconds, settings in EFFORTS:
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", _SCRIPT, form],
                input=f"{source}{settings}}}\n".encode(),
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            trouble = f"it took more than {seconds} seconds"
            continue
        if done.returncode == 0 and done.stdout:
            return done.stdout
        said = done.stderr.decode(errors="replace").strip().splitlines()
        trouble = said[-1] if said else f"exit status {done.returncode}"
    raise ScfxError(
        f"graphviz could not draw the graph: {trouble}. Write it as .dot, or draw the graph of a submodule."
    )


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file that is never seen half written: on failure what was there before stays.

    Raises:
        ScfxError: The file can't be written.
    """
    try:
        with whole(path, lasting=False) as draft:
            draft.write_bytes(data)
    except OSError as error:
        raise ScfxError(f"cannot write {path}: {error.strerror or error}") from error
