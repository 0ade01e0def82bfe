"""What stands in the way of an export, in words: packages, folders, operators."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from torch import fx

from scfx.errors import ExportError
from scfx.reporting.flow import path_of
from scfx.reporting.wording import source_line


def check_packages(*packages: str) -> None:
    """Refuses to go on without packages that the extra `onnx` brings."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ExportError(f"ONNX needs {' and '.join(missing)}, not installed here: pip install 'scfx[onnx]'")


def check_place(path: Path) -> None:
    """Refuses a path at which no file can be, before any work is done."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ExportError(f"cannot write {path}: there is no directory {folder}")
    if path.is_dir():
        raise ExportError(f"cannot write {path}: it is a directory")


def explained(error: Exception, what: str) -> ExportError:
    """The error for a network that torch can't export: the reason, and the node, module and line where it is."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__) is not None and cause not in chain:
        chain.append(cause)
    lines = [line.strip() for line in str(chain[-1]).splitlines() if line.strip()]
    reason = f"{type(chain[-1]).__name__}: {lines[0][:400] if lines else ''}"
    nodes = [node for each in chain for node in _nodes(each.__traceback__)]
    at = ""
    if nodes:
        node = nodes[-1]
        path, line = path_of(node)[0], source_line(node)
        at = f" at {node.name}, a call of {node.target}{path and f' in {path}'}{line and f' ({line})'}"
    return ExportError(f"{what}{at}. Reason: {reason}. Nothing was written")


def _nodes(traceback: TracebackType | None) -> Iterator[fx.Node]:
    """The calls of operators that functions were at work on when an error was raised, the innermost last."""
    while traceback is not None:
        for value in traceback.tb_frame.f_locals.values():
            if isinstance(value, fx.Node) and value.op == "call_function":
                yield value
        traceback = traceback.tb_next
