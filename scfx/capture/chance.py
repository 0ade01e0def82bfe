"""Branches that a model takes by chance, as layer drop does: a graph has one way only, so the likelier one is taken.

Where the chance is nil, as it is for layer drop of probability 0, nothing is lost. Else the caller has to say so.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from scfx.capture.source import frame_text, users_frames


@dataclass(frozen=True)
class Uniform:
    """What is known of one number drawn evenly between two others."""

    low: float = 0.0
    high: float = 1.0

    def below(self, bound: float) -> Coin:
        """Whether the number is less than `bound`. That it is equal has no chance, except at the lower end."""
        width = self.high - self.low
        return Coin(min(1.0, max(0.0, (bound - self.low) / width)) if width > 0 else float(self.low < bound))


@dataclass(frozen=True)
class Coin:
    """What is known of a truth value that is drawn: its chance to be true."""

    chance: float


@dataclass(frozen=True)
class Decision:
    """A branch taken by chance in the source, and the chance that it is taken the other way."""

    place: str
    chance: float

    def __str__(self) -> str:
        return (
            f"The model decides by chance{self.place}. A graph cannot: it always takes the likelier way, never the one "
            f"of probability {self.chance:g}. With layer drop, no layer is dropped while the captured network trains."
        )


class Chance(TorchFunctionMode):
    """Decides, while it is active, each branch on a single random number.

    Numbers are drawn all the same, so that what is drawn after them stays what it was.

    Attributes:
        decisions: The branches that could have gone the other way, each place once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.decisions: dict[Decision, None] = {}
        self._known: dict[int, tuple[Tensor, Uniform | Coin]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        known = self._of(args[0]) if args else None
        if isinstance(known, Coin) and name in ("__bool__", "item", "is_nonzero"):
            return self.decide(known)
        result = func(*args, **kwargs)
        if isinstance(known, Uniform) and name == "item":
            return _Number(result, known, self)
        if isinstance(result, Tensor) and result.numel() == 1:
            learned = _drawn(name, args, kwargs) or _derived(name, known, args)
            if learned is not None:
                self._known[id(result)] = result, learned
        return result

    def decide(self, coin: Coin) -> bool:
        """Return the likelier truth value; remember that the other one had a chance, if it had one."""
        likely = coin.chance > 0.5
        other = 1 - coin.chance if likely else coin.chance
        if other > 0:
            frames = users_frames(traceback.extract_stack())
            self.decisions[Decision(frame_text(frames[-1]) if frames else "", other)] = None
        return likely

    def _of(self, value: object) -> Uniform | Coin | None:
        tensor, known = self._known.get(id(value), (None, None))
        return known if tensor is value else None


class _Number:
    """A number that was drawn: comparing it is a decision, all else is done with the number itself."""

    def __init__(self, value: Any, known: Uniform, chance: Chance) -> None:
        self.value, self.known, self.chance = value, known, chance

    def __lt__(self, bound: float) -> bool:
        return self.chance.decide(self.known.below(bound))

    def __ge__(self, bound: float) -> bool:
        return not self < bound

    __le__, __gt__ = __lt__, __ge__

    def __getattr__(self, name: str) -> Any:
        return getattr(self.value, name)

    def __float__(self) -> float:
        return float(self.value)


def _forwarded(name: str) -> Callable[..., Any]:
    def method(self: _Number, *others: Any) -> Any:
        return getattr(self.value, name)(*others)

    return method


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "neg", "int"):
    setattr(_Number, f"__{_name}__", _forwarded(f"__{_name}__"))


#: Calls that give the same number again: of another dtype, shape or device.
_SAME = frozenset("to float double half bfloat16 cpu cuda squeeze view reshape detach clone __getitem__ bool".split())
_BELOW = frozenset("lt le __lt__ __le__ less less_equal".split())
_ABOVE = frozenset("gt ge __gt__ __ge__ greater greater_equal".split())
_NOT = frozenset("__invert__ logical_not bitwise_not".split())


def _drawn(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Uniform | Coin | None:
    """Return what is known of the result of a call that draws."""
    if name in ("rand", "rand_like"):
        return Uniform()
    numbers = [*args[1:], *kwargs.values()]
    if not all(isinstance(number, (int, float)) for number in numbers):
        return None
    if name == "uniform_":
        low, high = [*numbers[: len(args) - 1], *(0.0, 1.0)[len(args) - 1 :]][:2]
        return Uniform(kwargs.get("from", low), kwargs.get("to", high))
    if name == "bernoulli_":
        return Coin(float(numbers[0]) if numbers else 0.5)
    return None


def _derived(name: str, known: Uniform | Coin | None, args: tuple[Any, ...]) -> Uniform | Coin | None:
    """Return what is known of the result of a call on something `known`."""
    if known is None or name in _SAME:
        return known
    if isinstance(known, Coin):
        return Coin(1 - known.chance) if name in _NOT else None
    if name in _BELOW | _ABOVE and len(args) == 2 and isinstance(args[1], (int, float)):
        below = known.below(args[1])
        return below if name in _BELOW else Coin(1 - below.chance)
    return None
