"""Rewrites of ATen graphs, one file each. They obey: what to remove or to insert is decided elsewhere.

The folder lies at the top of the repository and is importable as `scfx.passes` only.
"""

from __future__ import annotations

if __name__ != "scfx.passes":
    raise ImportError(
        f"this folder was imported as {__name__!r}, which would make a second copy of every class in it; "
        "write `from scfx.passes import ...` instead."
    )
