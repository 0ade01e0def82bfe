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

from scfx.dead import find_dead, settled_means, trained_entries
from scfx.dims import Var
from scfx.facts import Mask
from scfx.masks import over
from scfx.optimizers import check_optimizer
from scfx.quantizer import bound_quantizers_
from scfx.zero_facts import Entries, fetch

if TYPE_CHECKING:
    from scfx.module import CompressedModule
    from scfx.pruning import PruneReport


@dataclass
class Training:
    """The training side of a compressed module.

    Attributes:
        prune_every: Steps between removals; None: updates remove nothing.
        release: How fast blockers shrink: each step takes `release` times the learning rate off their magnitude.
        step: Steps done.
        latched: For each axis, the channels that can go and wait for the next removal.
    """

    prune_every: int | None = 50
    release: float = 5.0
    step: int = 0
    latched: dict[Var, Mask] = field(default_factory=dict)
    _held: dict[str, torch.Tensor] = field(default_factory=dict)
    _blockers: dict[str, torch.Tensor] = field(default_factory=dict)
    _fresh: bool = True
    _hooks: list[RemovableHandle] = field(default_factory=list)
    _checked: weakref.ref[torch.optim.Optimizer] | None = None

    def copy(self) -> Training:
        """The same settings for a copy of the module, which looks for itself."""
        return Training(self.prune_every, self.release, self.step)

    def update(self, module: CompressedModule, optimizer: torch.optim.Optimizer) -> PruneReport | None:
        """See `CompressedModule.update`."""
        if self._checked is None or self._checked() is not optimizer:
            check_optimizer(optimizer, dict(module.named_parameters()))
            self._checked = weakref.ref(optimizer)
        quantizers = [quantizer for _, quantizer in module.quantizers()]
        died = bound_quantizers_(quantizers)
        released = self._release(module, optimizer)
        self._hold(module)
        if quantizers and (died or released or self._fresh):
            self.look(module)
        self.step += 1
        if self.prune_every is None or self.step % self.prune_every:
            return None
        if quantizers and not any(mask.any() for mask in self.latched.values()):
            return None
        report = module.prune(optimizer)
        return report if report else None

    def look(self, module: CompressedModule) -> None:
        """Finds out anew what can go and what is in the way, and lets go what does."""
        self._reset_means(module, settled_means(module.channels))
        self.observe(module)
        self._silence(module)

    def observe(self, module: CompressedModule) -> None:
        """Finds out what can go and what is in the way, and changes nothing."""
        graph = module.channels
        self._let_go()
        if not any(True for _ in module.quantizers()):
            module._size = module._size.for_graph(graph)
            return
        dead = find_dead(graph, self.latched)
        self.latched = dead.removable
        self._blockers = _on_device(module, dead.blockers)
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
        self.latched = {}
        self.observe(module)
        self._fresh = True

    @torch.no_grad()
    def _release(self, module: CompressedModule, optimizer: torch.optim.Optimizer) -> bool:
        """A proximal L1 step on the blockers. Returns whether any of them has just reached zero."""
        if not self._blockers:
            return False
        rates = {id(p): float(group["lr"]) for group in optimizer.param_groups for p in group["params"]}
        reached: list[torch.Tensor] = []
        for name, mask in self._blockers.items():
            parameter = fetch(module._program.root, name)
            entries = parameter.view(-1)[mask]
            shrunk = entries.sign() * (entries.abs() - self.release * rates.get(id(parameter), 0.0)).clamp_min(0)
            parameter.view(-1)[mask] = shrunk
            reached.append(((shrunk == 0) & (entries != 0)).any())
        return bool(torch.stack(reached).any())

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
class _Silencer:
    """A gradient hook that zeroes entries."""

    entries: torch.Tensor

    def __call__(self, grad: torch.Tensor) -> torch.Tensor:
        return grad.masked_fill(self.entries, 0)


def _on_device(module: CompressedModule, entries: Entries) -> dict[str, torch.Tensor]:
    """Masks as tensors, each beside the parameter or buffer it is about."""
    return {name: torch.from_numpy(mask).to(fetch(module._program.root, name).device) for name, mask in entries.items()}
