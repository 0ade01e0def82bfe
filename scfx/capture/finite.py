"""Branches on whether values are finite, which models take against overflow: a graph goes the way of finite ones.

That values are finite is what the whole library rests on (docs/exactness.md). Where they are not, the model
would have done something else, such as clamping; the caller is told so.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from scfx.capture.source import frame_text, users_frames

#: Calls that ask for each value whether it is finite, and the answer for those that are.
_QUESTIONS = {"isfinite": True, "isinf": False, "isnan": False, "isposinf": False, "isneginf": False}

#: Calls that keep an answer, or turn it round; `any` and `all` keep the one that no number of values can change.
_KEPT = frozenset("to bool cpu cuda view reshape flatten squeeze unsqueeze detach clone contiguous".split())
_TURNED = frozenset("__invert__ logical_not bitwise_not".split())
_WHOLE = {"any": False, "all": True}
_BOTH = frozenset("__or__ __and__ logical_or logical_and bitwise_or bitwise_and".split())


class AllFinite(TorchFunctionMode):
    """Decides, while it is active, each branch on whether there are values that are not finite: there are none.

    Attributes:
        places: Where the model asked, each place once, as ` at file:line in function: code`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, None] = {}
        self._known: dict[int, tuple[Tensor, bool]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        answers = [self._of(argument) for argument in args]
        if name in ("__bool__", "item", "is_nonzero") and answers and answers[0] is not None:
            frames = users_frames(traceback.extract_stack())
            self.places[frame_text(frames[-1]) if frames else ""] = None
            return answers[0]
        result = func(*args, **(kwargs or {}))
        answer = _QUESTIONS.get(name) if name in _QUESTIONS else _derived(name, answers)
        if isinstance(result, Tensor) and answer is not None:
            self._known[id(result)] = result, answer
        return result

    def _of(self, value: object) -> bool | None:
        tensor, answer = self._known.get(id(value), (None, None))
        return answer if tensor is value else None


def _derived(name: str, answers: list[bool | None]) -> bool | None:
    """What is known of the result of a call on arguments with these answers: the same for each of its values."""
    first = answers[0] if answers else None
    if first is None:
        return None
    if name in _BOTH:
        return first if len(answers) == 2 and answers[1] == first else None
    if name in _TURNED:
        return not first
    return first if name in _KEPT or _WHOLE.get(name) == first else None
