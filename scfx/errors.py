"""The exceptions that scfx raises on purpose.

Every message says what was wrong, where in the user's model (node, module path, source line where known) and what to
do. Each class also derives from the built-in exception that a caller would expect, so that `except ValueError` keeps
working.
"""

from __future__ import annotations


class ScfxError(Exception):
    """The base of every exception that scfx raises on purpose."""


class CaptureError(ScfxError, RuntimeError):
    """The model could not be captured, or what was captured does not compute what the model computes."""


class InputError(ScfxError, ValueError):
    """Example inputs, or the arguments of a call, do not fit the model."""


class ModelError(ScfxError, ValueError):
    """The model itself cannot be worked with: not a module, no parameters, weights that are NaN or infinite."""


class UnknownNameError(ScfxError, KeyError):
    """A name given by the user (in `keep` or `outputs`, say) names nothing in the model."""

    def __str__(self) -> str:
        """Return the message as text: `KeyError` would print its repr, with quotes and escaped newlines."""
        return str(self.args[0]) if self.args else ""


class OptimizerError(ScfxError, ValueError):
    """The optimizer does not own the parameters, or is of a kind whose state cannot be sliced."""


class PlanError(ScfxError, RuntimeError):
    """A prune plan does not fit the model it is applied to."""


class CheckpointError(ScfxError, RuntimeError):
    """Saved state does not belong to the module it is loaded into, or is damaged."""


class ExportError(ScfxError, RuntimeError):
    """The network can't be written in another program's format, or doesn't compute the same there."""
