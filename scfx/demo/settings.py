"""What a user may choose, and whether the demo can run with it here; all of it is found out before any training."""

from __future__ import annotations

import importlib.util
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scfx.errors import ScfxError

#: The modules that the demo needs beside scfx itself, with the names under which they are installed.
NEEDED = {"sklearn": "scikit-learn", "matplotlib": "matplotlib", "pygraphviz": "pygraphviz"}


class DemoError(ScfxError, ValueError):
    """The demo cannot run: an option makes no sense, a folder cannot be written to, or a package is missing."""


@dataclass(frozen=True)
class Settings:
    """The options of the demo.

    Attributes:
        out: The folder that pictures and weights go to.
        epochs: How often each of the two networks sees every training digit.
        width: Channels of the network's stem; what follows is two to six times as wide.
        batch_size: Digits in one training step.
        seed: Decides the split of the digits, the first weights, the order of the digits and how they are moved.
        gamma: The weight of the size, in bits per weight, in the loss.
        threads: Threads that torch computes with.

    Raises:
        DemoError: An option is out of range.
    """

    out: Path = Path("demo")
    epochs: int = 60
    width: int = 24
    batch_size: int = 128
    seed: int = 0
    gamma: float = 0.11
    threads: int = 2

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("width", 1), ("batch_size", 2), ("seed", 0), ("gamma", 0), ("threads", 1)):
            value = getattr(self, name)
            if not value >= least:  # NaN too
                raise DemoError(f"{_option(name)} must be {least} or more, not {value}")
        if self.gamma == float("inf"):
            raise DemoError(f"{_option('gamma')} must be finite")
        if self.seed >= 2**32:
            raise DemoError(f"{_option('seed')} must be below 2**32, not {self.seed}")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def check_packages() -> None:
    """Looks for everything that the demo imports.

    Raises:
        DemoError: Something is not installed; the message says how to install it.
    """
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise DemoError(f"the demo needs {' and '.join(missing)}: pip install 'scfx[demo]'")


def prepare_folder(folder: Path) -> None:
    """Makes the folder, and tries whether it can be written to.

    Raises:
        DemoError: It can't.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise DemoError(f"cannot write to the folder {folder} ({reason}); choose another with --out") from error
