"""`file.py:function`: a model made by the user's own code, which is run."""

from __future__ import annotations

import importlib.util
import inspect
import linecache
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from scfx.commands.usage import UsageError, unknown
from scfx.errors import ScfxError


class UserCodeError(ScfxError, RuntimeError):
    """The user's own code failed."""


def made_by(path: Path, name: str) -> tuple[nn.Module, Any]:
    """The model that a function of a file returns, and the example inputs, None where it gives none.

    Args:
        path, name: As in `returned_by`, of a function that returns a model or (model, example inputs); or of a model.

    Raises:
        UsageError: The file or the function isn't there, or the function returns something else.
        UserCodeError: The file or the function raised an error.
    """
    made = returned_by(path, name)
    model, inputs = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(model, nn.Module):
        raise UsageError(f"{path}: {name}() returns {kind(made)}, but should return a model or (model, example_inputs)")
    return model, inputs


def returned_by(path: Path, name: str) -> Any:
    """Runs a file, calls its function, and returns what that returns.

    Args:
        path: The file. Its folder is searched for what it imports, as when Python runs it.
        name: A function without arguments; or a model, which is what is returned then.

    Raises:
        UsageError: The file or the function isn't there.
        UserCodeError: The file or the function raised an error.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    module = guarded(path, f"{path.name}", lambda: _run(path))
    own = {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_") and (callable(value) or isinstance(value, nn.Module))
    }
    if name not in own:
        here = [
            key
            for key, value in own.items()
            if isinstance(value, nn.Module) or getattr(value, "__module__", "") == module.__name__
        ]
        if not here:
            raise UsageError(f"{path} has no function {name!r}, and no other one")
        raise unknown("function", name, here, str(path))
    made = own[name]
    if not isinstance(made, nn.Module):
        needed = _needed(made)
        if needed:
            raise UsageError(
                f"{path}: {name}() needs the argument {needed}; what makes the model has to work without arguments"
            )
        made = guarded(path, f"{name}()", own[name])
    return made


def _run(path: Path) -> ModuleType:
    """Runs a file as a module of its own; what it names stays importable, as dataclasses need."""
    name = f"scfx_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec.loader.exec_module(module)
    return module


def guarded(path: Path, what: str, call: Callable[[], Any]) -> Any:
    """Calls the user's code; its error with the line of the file, and where it was raised if that is elsewhere."""
    try:
        return call()
    except ScfxError:  # which says what is wrong
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, SyntaxError) and error.filename:
            where = [f"{error.filename}:{error.lineno}: {(error.text or '').strip()}"]
        else:
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if Path(frame.filename) == path]
            shown = own[-1:] + [frame for frame in frames[-1:] if own and frame is not own[-1]]
            where = [f"{frame.filename}:{frame.lineno} in {frame.name}: {_code(frame)}" for frame in shown]
        said = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}".rstrip(": ")
        raise UserCodeError("\n  ".join([f"{what} raised {said}", *where])) from error


def _code(frame: traceback.FrameSummary) -> str:
    return linecache.getline(frame.filename, frame.lineno or 0).strip()


def _needed(function: Any) -> str:
    """The names of the arguments that a function can't be called without."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of some that are written in C nothing is known
        return ""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return ", ".join(p.name for p in parameters if p.default is p.empty and p.kind not in kinds)


def kind(value: object) -> str:
    """What something is, in words."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
