"""Where in the user's own source something happened."""

from __future__ import annotations

import linecache
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

_OURS = (str(Path(torch.__file__).parent) + "/", str(Path(__file__).parents[1]) + "/", "<")

#: Methods that torch calls on its way to an operator: they stand between the model and torch.
HANDLERS = ("__torch_function__", "__torch_dispatch__")

_STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"] + "/"


def user_line(error: BaseException) -> str:
    """Return ` at file:line in function: code` for the innermost frame of the user's own source, if there is one."""
    for cause in _causes(error):
        frames = users_frames(traceback.extract_tb(cause.__traceback__))
        if frames:
            return frame_text(frames[-1])
    return ""


def users_frames(frames: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """Return the frames of the user's own source; what handles each call of torch is none, whoever wrote it."""
    return [frame for frame in frames if is_users(frame.filename) and frame.name not in HANDLERS]


def frame_text(frame: traceback.FrameSummary) -> str:
    """Return ` at file:line in function: code`."""
    code = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f" at {frame.filename}:{frame.lineno} in {frame.name}{code and ': ' + code}"


def is_users(filename: str) -> bool:
    """Say whether a file belongs neither to torch, nor to scfx, nor to Python: a library's model is the user's."""
    if filename.startswith(_OURS):
        return False
    return "site-packages" in filename or not filename.startswith(_STANDARD_LIBRARY)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and what caused it, the first cause first: it was raised where the trouble is."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    yield from reversed(chain)
