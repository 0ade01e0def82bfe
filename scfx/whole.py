"""Files that appear at once and whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(path: Path, lasting: bool = True) -> Iterator[Path]:
    """Gives another name beside `path` to write to; when the body is through, what is there takes its place.

    If the body fails nothing is left of it, and what was at `path` before stays.

    Args:
        path: The file; it is replaced if it exists.
        lasting: Whether to wait until all of it is on the disk.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    draft.touch()
    try:
        mode = draft.stat().st_mode  # some libraries put a file in its place that only its owner can read
        yield draft
        draft.chmod(mode)
        if lasting:
            _to_disk(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if lasting:
        _to_disk(path.parent)


def _to_disk(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
