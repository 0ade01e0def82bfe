"""The demo: a small residual network learns to read digits twice, once as it is and once compressing itself."""

from scfx.demo.outcome import Outcome
from scfx.demo.running import run
from scfx.demo.settings import DemoError, Settings

__all__ = ["DemoError", "Outcome", "Settings", "run"]
