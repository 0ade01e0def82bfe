"""Guards against forgetting for good: a channel with no depth left never comes back, so depths fall with care.

The paper counters this with the large eps of the quantizers' Adam, which keeps the first steps of a depth small while
its gradient is. What is here holds whatever the optimizer and its values are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from scfx.errors import InputError
from scfx.nodes.quantizer import MAX_BITS, Quantizer
from scfx.training.vital import Ways

if TYPE_CHECKING:
    from scfx.graph.channels import ChannelGraph


@dataclass(frozen=True, kw_only=True)
class Guards:
    """How careful `net.update()` is with what cannot be undone. Set them by `net.guards = scfx.Guards(...)`.

    Attributes:
        warm_up: So many updates pass before any depth moves: time for an optimizer to know its gradients, or for a
            fresh network to learn at the depth it starts with.
        fall: A depth falls by no more than this in one update. The default is what one step of the paper's recipe can
            do at most, so it catches spikes; a tenth gives a channel 80 updates to prove its worth.
        keep_until: Before this update no channel dies: depths stay at `floor` or above.
        floor: The depth, in bits, that such channels keep, and those that are spared. Below two bits no positive number
            is left.
        spare_last: Whether a weight keeps the last of its channels, with `floor` bits, if an output would not depend on
            any input without it. A branch beside which something else leads on may die as a whole.
        release: How fast blockers go to zero: each update takes this times the learning rate off their magnitude.

    Raises:
        InputError: A number is negative or not finite, or `fall` or `floor` is zero.
    """

    warm_up: int = 0
    fall: float = 0.5
    keep_until: int = 0
    floor: float = 2.0
    spare_last: bool = True
    release: float = 5.0

    def __post_init__(self) -> None:
        for name in ("warm_up", "fall", "keep_until", "floor", "release"):
            value = getattr(self, name)
            if not value >= 0 or (value == 0 and name in ("fall", "floor")):  # NaN too
                least = "above 0" if name in ("fall", "floor") else "0 or more"
                raise InputError(f"Guards({name}=...) is {least}, not {value}")
        if not isfinite(self.release) or self.floor > MAX_BITS:
            raise InputError(f"Guards: release must be finite and floor at most {MAX_BITS:g}, not {self}")


@dataclass
class Watch:
    """The depths before a step, and what the guards make of those behind it.

    Attributes:
        last: The quantizers, by path, whose one channel that is left may not die.
    """

    last: set[str] = field(default_factory=set)
    _before: dict[str, Tensor] = field(default_factory=dict)
    _hooks: list[RemovableHandle] = field(default_factory=list)

    def start(self, quantizers: Mapping[str, Quantizer]) -> None:
        """From the next backward pass on, takes note of the depths; what a person sets by hand before it is no fall."""
        for hook in self._hooks:
            hook.remove()
        self._before = {}

        def note(_: Tensor) -> None:
            if not self._before:
                self._before = {path: quantizer.bits.detach().clone() for path, quantizer in quantizers.items()}

        self._hooks = [q.bits.register_hook(note) for q in quantizers.values() if q.bits.requires_grad]

    @torch.no_grad()
    def guard_(self, quantizers: Mapping[str, Quantizer], guards: Guards, step: int) -> dict[str, Tensor]:
        """Takes back what depths have done too much of since the last backward pass began.

        Returns:
            The depths from before, by path; none if there was no backward pass since the last update.
        """
        before, self._before = self._before, {}
        if before:
            depths: list[Tensor] = [quantizers[path].bits for path in before]
            if step < guards.warm_up:
                torch._foreach_copy_(depths, list(before.values()))
            elif guards.fall < MAX_BITS:
                torch._foreach_maximum_(depths, list(torch._foreach_sub(list(before.values()), guards.fall)))
        last = self.last if guards.spare_last else ()
        keep = [quantizers[path] for path in (quantizers if step < guards.keep_until else last)]
        for quantizer in keep:  # of those that are dead, `bound_quantizers_` takes the depth away again
            quantizer.bits.clamp_min_(guards.floor)
        return before

    @torch.no_grad()
    def spare(
        self, graph: ChannelGraph, quantizers: Mapping[str, Quantizer], guards: Guards, before: Mapping[str, Tensor]
    ) -> None:
        """After some have died: brings back the strongest channel where the last of a vital weight has, and keeps it.

        Args:
            graph: Of the module as it is.
            quantizers: All of its quantizers.
            guards: The options.
            before: The depths before the step that they died in.
        """
        if not guards.spare_last or not quantizers:
            return
        if any(quantizer.bits.is_meta for quantizer in quantizers.values()):
            return  # nothing has died where there are no values
        left = torch.stack([(~quantizer.dead).sum().cpu() for quantizer in quantizers.values()]).tolist()
        alive: dict[str, int] = dict(zip(quantizers, left, strict=True))
        fell = [path for path, count in alive.items() if not count and path in before and (before[path] > 0).any()]
        few = [*fell, *(path for path, count in alive.items() if count == 1 and path not in self.last)]
        if not few:
            return
        ways = Ways(graph)
        silent = {path for path, count in alive.items() if not count} - set(fell)
        for path in few:
            vital = ways.is_vital(path, silent)
            if path in fell and not vital:  # so a branch that falls along with the only other one is the last way
                silent.add(path)
            elif path in fell:
                strongest = before[path].argmax()
                quantizers[path].dead[strongest] = False
                quantizers[path].bits[strongest] = guards.floor
            if vital:
                self.last.add(path)
