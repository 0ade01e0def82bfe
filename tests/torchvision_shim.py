"""Lets torchvision import beside a CPU build of torch.

`prepare()` must run before the first import of torchvision. tests/conftest.py calls it; examples and benchmarks call it
in their `__init__.py`, and so are run as modules from the repository root: `python -m examples.<name>`.
"""

from scfx.commands.torchvision_shim import prepare

__all__ = ["prepare"]
