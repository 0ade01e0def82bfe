"""What happens after each optimizer step: depths stay bounded, blockers shrink, dead channels stay dead and go in time.

Nothing here depends on when channels are removed: a channel that can go is held where it is from the step on which it
could, so that removing it sooner or later leaves the same weights.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch.utils.hooks import RemovableHandle

from scfx.graph.masks import over
from scfx.nodes.quantizer import bound_quantizers_
from scfx.removal.dead import all_entries, find_dead, settled_means, trained_entries
from scfx.removal.zero_facts import Entries, fetch
from scfx.surgery.counting import counts, forget_
from scfx.surgery.following import hand_over
from scfx.surgery.optimizers import Optimizers, each_optimizer, meet_optimizers
from scfx.terms.dims import Var
from scfx.terms.facts import Mask
from scfx.training.forgetting import Guards, Watch

if TYPE_CHECKING:
    from scfx.module import CompressedModule
    from scfx.surgery.pruning import PruneReport


@dataclass
class Training:
    """The training side of a compressed module.

    Attributes:
        prune_every: Steps between removals; None: updates remove nothing.
        guards: How careful updates are with what cannot be undone.
        step: Steps done.
        latched: For each axis, the channels that can go and wait for the next removal.
        follows: Whether another module decides what can go here: then nothing is latched.
    """

    prune_every: int | None = 50
    guards: Guards = field(default_factory=Guards)
    step: int = 0
    latched: dict[Var, Mask] = field(default_factory=dict)
    follows: bool = False
    _held: dict[str, torch.Tensor] = field(default_factory=dict)
    _yielding: dict[str, _Yielding] = field(default_factory=dict)
    _fresh: bool = True
    _hooks: list[RemovableHandle] = field(default_factory=list)
    _watch: Watch = field(default_factory=Watch)
    _checked: tuple[weakref.ref[torch.optim.Optimizer], ...] = ()

    def copy(self) -> Training:
        """The same settings for a copy of the module, which looks for itself."""
        return Training(self.prune_every, self.guards, self.step)

    def start(self, module: CompressedModule) -> None:
        """Watches depths from the first backward pass on."""
        self._watch.start(dict(module.quantizers()))

    def update(self, module: CompressedModule, optimizer: Optimizers) -> PruneReport | None:
        """See `CompressedModule.update`."""
        optimizers = each_optimizer(optimizer)
        if tuple(known() for known in self._checked) != optimizers:
            meet_optimizers(optimizers, dict(module.named_parameters()), module._widths.shapes)
            self._checked = tuple(weakref.ref(each) for each in optimizers)
        quantizers = dict(module.quantizers())
        before = self._watch.guard_(quantizers, self.guards, self.step)
        died = bound_quantizers_(quantizers.values())
        if died or self._fresh:
            self._watch.spare(module.channels, quantizers, self.guards, before)
        released = self._release(module, optimizers)
        self._hold(module)
        if quantizers and (died or released or self._fresh):
            self.look(module)
            self._forget(module, optimizers)
        self.step += 1
        if self.prune_every is None or self.step % self.prune_every:
            return None
        if quantizers and not any(mask.any() for mask in self.latched.values()):
            return None
        report = module.prune(optimizers)
        return report if report else None

    def look(self, module: CompressedModule) -> None:
        """Finds out anew what can go and what is in the way, and lets go what does."""
        self._reset_means(module, settled_means(module.channels))
        self.observe(module)
        self._silence(module)
        for follower in module.followers():
            hand_over(module, follower, self.latched)

    def observe(self, module: CompressedModule) -> None:
        """Finds out what can go and what is in the way, and changes nothing."""
        graph = module.channels
        self._let_go()
        self._watch.start(dict(module.quantizers()))
        if not any(True for _ in module.quantizers()):
            module._size = module._size.for_graph(graph)
            return
        dead = find_dead(graph, self.latched)
        self.latched = {} if self.follows else dead.removable
        self._yielding = {
            name: _Yielding.of(fetch(module._program.root, name), mask)
            for name, mask in _on_device(module, dead.yielding).items()
        }
        gone = {axis: mask | dead.blocked.get(axis, mask) for axis, mask in dead.removable.items()}
        module._size = module._size.for_graph(graph, gone)
        self._take_hold(module)
        self._fresh = False

    def _take_hold(self, module: CompressedModule) -> None:
        """What is trained on channels that can go stays zero, and adds to no gradient norm, from now on."""
        for name, masks in trained_entries(module.channels, self.latched).items():
            parameter = fetch(module._program.root, name)
            held = torch.zeros(parameter.shape, dtype=torch.bool, device=parameter.device)
            for dim, mask in enumerate(masks):
                if mask is not None:
                    where = torch.from_numpy(mask).to(held.device)
                    held |= where.view([-1 if other == dim else 1 for other in range(held.dim())])
            if held.any():
                self._held[name] = held
                self._hooks.append(parameter.register_hook(_Silencer(held)))

    def _let_go(self) -> None:
        for handle in self._hooks:
            handle.remove()
        self._held, self._hooks = {}, []

    def again(self, module: CompressedModule) -> None:
        """After tensors have been loaded, moved or cast: what was found out before doesn't hold any more."""
        self.observe(module)
        self._watch.last.clear()
        self._watch.spare(module.channels, dict(module.quantizers()), self.guards, {})
        self._fresh = True

    @torch.no_grad()
    def _release(self, module: CompressedModule, optimizers: tuple[torch.optim.Optimizer, ...]) -> bool:
        """A proximal L1 step on the blockers. Returns whether one is zero that wasn't at the last look.

        Those that are zero already are held down, too: which of them were zero when it was last looked for blockers
        must not matter.
        """
        if not self._yielding:
            return False
        groups = (group for each in optimizers for group in each.param_groups)
        rates = {id(p): float(group["lr"]) for group in groups for p in group["params"]}
        reached: list[torch.Tensor] = []
        for name, yielding in self._yielding.items():
            parameter = fetch(module._program.root, name)
            entries = parameter.view(-1)[yielding.entries]
            shrunk = entries.sign() * (entries.abs() - self.guards.release * rates.get(id(parameter), 0.0)).clamp_min(0)
            parameter.view(-1)[yielding.entries] = shrunk
            reached.append(((shrunk == 0) & ~yielding.zero).any())
        return bool(torch.stack(reached).any())

    def _forget(self, module: CompressedModule, optimizers: tuple[torch.optim.Optimizer, ...]) -> None:
        """What optimizers that look at whole parameters could see of channels that can go, they don't from now on."""
        counting = [each for each in optimizers if counts(each)]
        if not counting or not any(mask.any() for mask in self.latched.values()):
            return
        for name, masks in all_entries(module.channels, self.latched).items():
            tensor = fetch(module._program.root, name)
            if isinstance(tensor, torch.nn.Parameter) and tensor.requires_grad:
                here = tuple(None if mask is None else torch.from_numpy(mask).to(tensor.device) for mask in masks)
                for each in counting:
                    forget_(each, tensor, here)

    @torch.no_grad()
    def _hold(self, module: CompressedModule) -> None:
        for name, mask in self._held.items():
            fetch(module._program.root, name).masked_fill_(mask, 0)

    @torch.no_grad()
    def _silence(self, module: CompressedModule) -> None:
        """A channel that can go has no bits to count any more, even if it can go only because nothing listens to it."""
        for path, quantizer in module.quantizers():
            (dim,) = module.channels._inference.state[f"{path}.bits"]
            gone = ~over(dim, {axis: ~mask for axis, mask in self.latched.items()})
            if gone.any():
                mask = torch.from_numpy(gone).to(quantizer.dead.device)
                quantizer.bits.masked_fill_(mask, 0)
                quantizer.dead |= mask

    @torch.no_grad()
    def _reset_means(self, module: CompressedModule, means: Entries) -> None:
        for name, mask in _on_device(module, means).items():
            fetch(module._program.root, name).masked_fill_(mask, 0)


@dataclass(frozen=True)
class _Yielding:
    """Entries of a parameter, flattened, that are to become zero, and which of them were at the last look."""

    entries: torch.Tensor
    zero: torch.Tensor

    @classmethod
    def of(cls, parameter: torch.Tensor, entries: torch.Tensor) -> _Yielding:
        return cls(entries, parameter.detach().view(-1)[entries] == 0)


@dataclass(frozen=True)
class _Silencer:
    """A gradient hook that zeroes entries."""

    entries: torch.Tensor

    def __call__(self, grad: torch.Tensor) -> torch.Tensor:
        return grad.masked_fill(self.entries, 0)


def _on_device(module: CompressedModule, entries: Entries) -> dict[str, torch.Tensor]:
    """Masks as tensors, each beside the parameter or buffer it is about."""
    return {name: torch.from_numpy(mask).to(fetch(module._program.root, name).device) for name, mask in entries.items()}
