"""What to say about a model that cannot be captured: where it fails in its source, and which parts can be."""

from __future__ import annotations

import re
import time
from typing import Any

import torch
from torch import nn

from scfx.capture.quiet import quiet
from scfx.capture.source import user_line
from scfx.capture.twin import twin
from scfx.errors import CaptureError

MAX_TRIES = 20
MAX_SECONDS = 30.0

_UNKNOWN_OUTPUT = re.compile(r"Found <class '([\w.<>]+)'> in output, which is not a known type")


def explain_failure(
    error: Exception, original: nn.Module, mode: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> CaptureError:
    """Return an error that says where export failed, why, and which submodules can be captured instead."""
    if mode == "train" and _exports(twin(original).eval(), args, kwargs):
        hint = (
            "In evaluation the whole model can be captured. With train_as_eval=True that is what is trained, dropout "
            "and norms as in training."
        )
    elif parts := capturable_submodules(original, args, kwargs):
        hints = "\n".join(f"  scfx.compress(model.{name}, ...)  # {count} parameters" for name, count in parts)
        hint = f"The largest submodules that can be captured:\n{hints}"
    else:
        hint = "No submodule could be captured either."
    return CaptureError(
        f"the model cannot be captured in {mode} mode{user_line(error)}.\nReason: {reason(error)}\n{hint}"
    )


def reason(error: BaseException) -> str:
    """Return the message of `error` without the pages that export adds to it."""
    kind = _UNKNOWN_OUTPUT.search(str(error))
    if kind is not None:
        return (
            f"it returns a {kind[1].rsplit('.', 1)[-1]}, which is neither a tensor nor a plain container of tensors. "
            "If it is a cache of past keys and values, switch that off: give use_cache=False with the example inputs, "
            "or set model.config.use_cache = False. If it is a class of your own, make it a dataclass, a named tuple "
            "or a dict."
        )
    if type(error).__name__ == "GuardOnDataDependentSymNode":
        return (
            "what the model does there depends on the numbers in a tensor and not on shapes alone, and a graph has one "
            "way only. Take the decision outside of the model, or by a flag that stays as it is."
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return f"{type(error).__name__}: {text[:400]}"


def capturable_submodules(
    original: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], most: int = 3
) -> list[tuple[str, int]]:
    """Return the largest submodules that export, with their numbers of parameters, found within a bounded effort."""
    calls = _recorded_calls(original, args, kwargs)
    module = twin(original).eval()
    sizes = {
        name: sum(p.numel() for p in child.parameters()) for name, child in module.named_modules() if name in calls
    }
    found: list[tuple[str, int]] = []
    deadline = time.monotonic() + MAX_SECONDS
    for tries, name in enumerate(sorted((n for n in sizes if sizes[n]), key=lambda n: (-sizes[n], n.count(".")))):
        if tries >= MAX_TRIES or time.monotonic() > deadline or len(found) >= most:
            break
        if any(name.startswith(f"{bigger}.") for bigger, _ in found):
            continue
        if _exports(module.get_submodule(name), *calls[name]):
            found.append((name, sizes[name]))
    return found


def _exports(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        with quiet():
            torch.export.export(module, args, kwargs, strict=False)
    except Exception:  # whatever is wrong with it, it is not one to suggest
        return False
    return True


def _recorded_calls(original: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Run a twin of `original` and return the arguments with which each submodule is called first."""
    module = twin(original).eval()
    calls: dict[str, tuple[Any, Any]] = {}

    def record(name: str) -> Any:
        def hook(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            calls.setdefault(name, (given, named))

        return hook

    for name, child in module.named_modules():
        if name:
            child.register_forward_pre_hook(record(name), with_kwargs=True)
    try:
        with torch.no_grad():
            module(*args, **kwargs)
    except Exception:  # what ran until then has been recorded
        pass
    return calls
