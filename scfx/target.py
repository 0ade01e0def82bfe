"""A size to arrive at: the factor of the cost in the loss, found while training goes on.

How fast depths fall for a given factor differs by orders of magnitude between optimizers, learning rates and networks,
and changes during training. So nothing is assumed of it: the factor follows from how far the size is from where it
should be by now, and from how fast it falls.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from scfx.errors import CheckpointError, InputError
from scfx.module import CompressedModule

ARRIVAL = 0.8
"""After this share of the steps the asked size is reached; the rest keeps it, while the network settles."""

SETTLING = 50
"""So many steps are kept for that, if they are no more than two fifths of all."""

FIRST_GAMMA = 1e-3
"""The factor at first: too little for most, and it grows while nothing moves."""

CALL_FOR = 12.0
"""The factor is its usual level times 1 + this times the relative distance from the wanted size."""

ADAPTATION = 30.0
"""Over all steps the level can change by e to this power."""

LOWEST, HIGHEST = -0.5, 4.0
"""Bounds on the factor, in levels. Below zero it gives bits back: a channel that dies takes others' inputs along."""

PATIENCE = 0.4
"""So fast, beside its usual pace, the level grows while the size falls fast enough to arrive in time as it is."""

BACK = 2.5
"""Below the wanted size the factor falls faster by this: 3 % below it is zero, as nothing else brings bits back."""

LARGEST = 1e6
"""The level grows no further: an optimizer at its full speed does not get faster, and sums lose the task's loss."""

LOOK_AHEAD = 10
"""So many steps an optimizer with the usual momentum goes on after the factor has changed."""

TOLERANCE = 0.05
"""The share by which the size may miss what was asked before it is said."""


class SizeTarget:
    """Arrives at a given size after a given number of steps: `loss = task_loss + target(net)`.

    It returns the cost times a factor, `gamma`, that it sets anew after each `net.update()`. The size follows a smooth
    curve down to what is asked after four fifths of the steps, and is kept from then on. Gradient accumulation doesn't
    matter, since it is updates that are counted. Everything that it does follows from sizes, so that a run repeats.

    Args:
        bits: The size to arrive at, as a share of the bits in which the weights were stored at first. Of a float32
            model 0.03 is 0.96 bits per original weight, as `net.size()` tells it.
        steps: The number of updates, counted from the first call.
        bit_ops: In place of `bits`: the share of the original bit operations, of `net.cost("bit_ops")`.

    Raises:
        InputError: Not exactly one size is given, it is not between 0 and 1, or there are fewer than 10 steps.

    Example:
        target = scfx.SizeTarget(bits=0.03, steps=10_000)
    """

    def __init__(self, bits: float | None = None, steps: int = 0, *, bit_ops: float | None = None) -> None:
        if (bits is None) == (bit_ops is None):
            raise InputError("a SizeTarget is given one size to arrive at: bits=... or bit_ops=...")
        self.kind: Literal["bits", "bit_ops"] = "bits" if bits is not None else "bit_ops"
        self.share = float(bits if bits is not None else bit_ops)  # type: ignore[arg-type]
        if not 0 < self.share < 1:
            raise InputError(f"{self.kind} is a share of what there was at first, between 0 and 1, not {self.share}")
        if steps < 10:
            raise InputError(f"steps is a number of updates, 10 or more, not {steps}")
        self.steps = steps
        self._begin: int | None = None
        self._step = 0
        self._first = self._goal = 0.0
        self._delay = 0
        self._held: dict[str, Tensor] = {}

    @property
    def gamma(self) -> float:
        """The factor of the cost as it is now."""
        return float(self._held["gamma"]) if self._held else FIRST_GAMMA

    def __call__(self, net: CompressedModule) -> Tensor:
        """The term of the loss: the cost times `gamma`, a scalar that is differentiable in the bit depths.

        Raises:
            InputError: It is no compressed module with quantizers, or it is as small as that from the start.

        Warns:
            UserWarning: With the last step the size is off by more than 5 %.
        """
        if not isinstance(net, CompressedModule):
            raise InputError(f"a SizeTarget takes the compressed module itself, not a {type(net).__name__} around it")
        cost = net.cost(self.kind)
        if self._begin is None:
            self._start(net, float(cost.detach()))
        step = net._training.step
        if not self._held or step != self._step:
            self._step = step
            self._control(cost.detach(), step - int(self._begin or 0))
        return self._held["gamma"].to(cost) * cost

    def wanted(self, step: int) -> float:
        """Where the cost should be so many updates after the first call, in the unit of `net.cost`."""
        arrive = self._arrival
        progress = min(1.0, max(0.0, (step - self._delay) / max(1, arrive - self._delay)))
        smooth = progress * progress * (3 - 2 * progress)
        return float(self._first ** (1 - smooth) * self._goal**smooth)

    @property
    def _arrival(self) -> int:
        """The step at which the asked size is to be reached."""
        return round(min(ARRIVAL * self.steps, max(0.6 * self.steps, self.steps - SETTLING)))

    def state_dict(self) -> dict[str, Any]:
        """What it needs to go on, as plain numbers."""
        held = {name: float(value) for name, value in self._held.items()}
        return {
            "kind": self.kind, "share": self.share, "steps": self.steps, "begin": self._begin, "step": self._step,
            "first": self._first, "goal": self._goal, "delay": self._delay, "held": held,
        }  # fmt: skip

    def load_state_dict(self, state: object) -> None:
        """Goes on from where another one was, beside `net.load_state_dict` and the optimizer's.

        Raises:
            CheckpointError: It is not the state of a target, or of one that was asked for another size or number of
                steps. Nothing has changed then.
        """
        own = self.state_dict()
        if not isinstance(state, Mapping) or set(state) != set(own):
            raise CheckpointError(f"this is not the state of a SizeTarget, which has {', '.join(own)}")
        asked = {name: state[name] for name in ("kind", "share", "steps")}
        if asked != {name: own[name] for name in asked}:
            raise CheckpointError(
                f"the state is that of SizeTarget({asked['kind']}={asked['share']}, steps={asked['steps']}), "
                f"this is {self!r}: make one like it, or start anew with the new one"
            )
        self._begin, self._step, self._delay = state["begin"], state["step"], state["delay"]
        self._first, self._goal = state["first"], state["goal"]
        self._held = {name: torch.tensor(value, dtype=torch.float64) for name, value in state["held"].items()}

    def __repr__(self) -> str:
        return f"SizeTarget({self.kind}={self.share:g}, steps={self.steps})"

    def __str__(self) -> str:
        if self._begin is None:
            return repr(self)
        done, unit = self._step - self._begin, self._goal / self.share
        return (
            f"step {done} of {self.steps}: {float(self._held['before']) / unit:.4f} of the original {self._what}, "
            f"{self.wanted(done) / unit:.4f} wanted now and {self.share:g} at the end; gamma {self.gamma:.3g}"
        )

    @property
    def _what(self) -> str:
        return "bits" if self.kind == "bits" else "bit operations"

    def _start(self, net: CompressedModule, cost: float) -> None:
        if not any(True for _ in net.quantizers()):
            raise InputError("the module has no quantizers, so there are no depths that could fall")
        original = net._size.original
        goal = self.share * original.bits / original.weights
        if not cost > goal:  # NaN too
            raise InputError(
                f"{self!r} asks for {goal:.4g} bits each, and the network starts with {cost:.4g}: ask for a share "
                f"below {cost / goal * self.share:.4g}"
            )
        delay = max(0, net.guards.warm_up - net._training.step)
        if delay >= self._arrival:
            raise InputError(f"{self!r}: a warm-up of {delay} more updates leaves too few of them")
        self._begin, self._first, self._goal, self._delay = net._training.step, cost, goal, delay

    def _control(self, cost: Tensor, done: int) -> None:
        """Sets the factor; on the cost's device, so that nothing waits for it."""
        held = {name: value.to(cost) for name, value in self._held.items()} or {
            "level": cost.new_tensor(FIRST_GAMMA), "before": cost, "speed": torch.zeros_like(cost)
        }  # fmt: skip
        smoothing = min(0.3, 0.1 + 10 / self.steps)
        speed = held["speed"] + (held["before"] - cost - held["speed"]) * smoothing
        ahead = min(LOOK_AHEAD, self.steps // 20)
        expected = (cost - ahead * speed).clamp_min(0.1 * self._goal)
        call = CALL_FOR * torch.log(expected / self.wanted(done + 1 + ahead))
        # What arrives in time gets more slowly only, as more may not be faster, and would be hard to take back.
        left = max(1, self._arrival - done)
        in_time = speed * left >= cost - self._goal
        change = torch.where(in_time, call.clamp(-1, PATIENCE), call.clamp(-1, 1))
        change = torch.where(call < -1 / BACK, 0.0, change)  # as long as it gives bits back, it goes on doing so
        level = (held["level"] * torch.exp(ADAPTATION / self.steps * change)).clamp_max(LARGEST)
        gamma = level * (1 + torch.where(call < 0, BACK * call, call)).clamp(LOWEST, HIGHEST)
        self._held = {"level": level, "before": cost, "speed": speed, "gamma": gamma}
        if done == self.steps - 1 and abs(float(cost) / self._goal - 1) > TOLERANCE:
            reached = float(cost) / self._goal * self.share
            why = (
                "In one update a depth moves by about the quantizers' learning rate at most, and by no more than "
                "net.guards.fall: more steps, or a larger quantizer_lr in net.param_groups(), let it arrive"
                if reached > self.share
                else "Depths fell faster than they could be held: more steps, or a smaller quantizer_lr in "
                "net.param_groups(), let it stop in time"
            )
            warnings.warn(f"{self!r} ends at {reached:.4g} of the original {self._what}. {why}", stacklevel=3)
