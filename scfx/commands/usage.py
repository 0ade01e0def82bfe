"""What is wrong with a command line, and the words for it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from scfx.errors import ScfxError

#: Up to this many names are all listed where none comes close.
FEW = 12


class UsageError(ScfxError, ValueError):
    """The command line asks for something that there is not: the command ends with status 2."""


def unknown(what: str, name: str, known: Iterable[str], of: str) -> UsageError:
    """The error for a name that means nothing, with those that come closest.

    Args:
        what: What was named, as in "model".
        name: The name.
        known: Every name that there is, one at least.
        of: Where they are, as in "timm".
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=4, cutoff=0.5) or [each for each in names if name in each][:4]
    if near:
        hint = f"the nearest: {', '.join(near)}"
    elif len(names) <= FEW:
        hint = f"it has {', '.join(names)}"
    else:
        hint = f"there are {len(names):,}, such as {names[0]}"
    return UsageError(f"{of} has no {what} called {name!r}; {hint}")


def missing(library: str, extra: str) -> UsageError:
    """The error for a library that is not installed."""
    return UsageError(f"this needs {library}, which is not installed: pip install 'scfx[{extra}]'")
