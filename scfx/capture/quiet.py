"""Silence for torch.export, which writes whole graphs to the terminal when it fails: the error says it better."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator

_LOGGERS = ("torch.fx.experimental.symbolic_shapes", "torch.export", "torch._export")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what the body writes to the standard streams and what torch's export logs."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled
