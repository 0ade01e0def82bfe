"""Pruning: find what can go, plan it, and let the passes and the optimizer surgery obey the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch._dynamo.eval_frame import remove_from_cache

from scfx.capture.program import MODES
from scfx.errors import InputError
from scfx.passes.prune import Prune
from scfx.removal.constants import find_constants
from scfx.removal.dead import Dead, find_absorbable, find_dead, worth_removing
from scfx.removal.plan import PrunePlan, make_plan
from scfx.removal.zero_facts import ZeroFacts, fetch
from scfx.reporting.report_text import LINES
from scfx.reporting.wording import shortened
from scfx.surgery.following import check_alike
from scfx.surgery.optimizers import Kept, Optimizers, meet_optimizers, slice_buffer_, slice_optimizer, slice_parameter_
from scfx.surgery.parallel import refuse_sharded, refuse_wrapped

if TYPE_CHECKING:
    from scfx.module import CompressedModule


@dataclass(frozen=True)
class PruneReport:
    """What a removal did.

    Attributes:
        plan: What went, as data.
        channels_before, channels_after: Over all axes that may shrink.
        weights_before, weights_after: Over all parameters, quantizers aside.
        blocked: How many zero-bit channels stay because of blockers.
        blockers: The parameters with entries in the way, and how many entries; `net.left()` says of which channels.
    """

    plan: PrunePlan
    channels_before: int
    channels_after: int
    weights_before: int
    weights_after: int
    blocked: int
    blockers: Mapping[str, int]

    def __bool__(self) -> bool:
        return bool(self.plan)

    def __str__(self) -> str:
        lines = [
            f"channels {self.channels_before:,} -> {self.channels_after:,}, "
            f"weights {self.weights_before:,} -> {self.weights_after:,}"
        ]
        gone = sorted(self.plan.channels, key=lambda each: each[2] - each[1])
        lines += shortened([f"  {name}: {before} -> {after}" for name, before, after in gone], LINES, "more")
        lines += [f"  {absorbed.bias} takes over a constant" for absorbed in self.plan.absorbed]
        if self.blocked:
            lines.append(f"{self.blocked} zero-bit channels are blocked by parameters that are not zero yet:")
            most = sorted(self.blockers.items(), key=lambda item: -item[1])
            lines += shortened([f"  {name}: {count} entries" for name, count in most], LINES, "more parameters")
        return "\n".join(lines)


def prune(
    module: CompressedModule,
    optimizer: Optimizers | None,
    constants: bool,
    agree: Callable[[PrunePlan], None] | None = None,
) -> PruneReport:
    """Removes every channel of a compressed module that contributes nothing, or only what biases can take over.

    Args:
        module: It changes in place; its parameters stay the same objects.
        optimizer: One or several. Their state is sliced with the parameters.
        constants: Whether channels go that add a constant to layers with a bias of their own.
        agree: Called with the plan before anything changes, even if nothing is to go; it may refuse by an exception.
            Without, a module is refused that other processes train, too.
    """
    refuse_sharded(dict(module.named_parameters()))
    if optimizer is not None:
        meet_optimizers(optimizer, dict(module.named_parameters()), module._widths.shapes)
    if constants and module.followers():
        raise InputError(
            "constants=True measures what channels add to the layers behind them, which is another number in each copy "
            "that follows this module (net.add_follower): prune without it, or finalize() in the end"
        )
    graph = module.channels
    dead = find_dead(graph, module._training.latched)
    facts = ZeroFacts(graph)
    found = find_constants(graph, facts, MODES, new_bias=False) if constants else []
    gone = find_absorbable(graph, facts, found, MODES, module._training.latched) if constants else dead.removable
    plan = make_plan(graph, worth_removing(graph, facts, gone, MODES, found), found)
    report = _report(module, dead, plan)
    if agree is not None:
        agree(plan)
    elif plan:
        refuse_wrapped(module)
    if plan:
        apply(module, plan, optimizer)
    return report


def apply(module: CompressedModule, plan: PrunePlan, optimizer: Optimizers | None) -> None:
    """Obeys a plan: optimizer, parameters, buffers, graphs, in this order, each checked before it changes."""
    root, followers = module._program.root, module.followers()
    for follower in followers:
        check_alike(module, follower)
    slice_state(root, plan, optimizer)
    for mode in MODES:
        Prune(plan.edits[mode], plan.shapes[mode])(module._program.graphs[mode], root)
    module.graphs_changed()
    _forget_copies(module)
    module._widths.follow(plan)
    module._channels = None
    module._training.latched = {}
    module._training.observe(module)
    for follower in followers:
        apply(follower, plan, None)


def _forget_copies(module: CompressedModule) -> None:
    """Drops what torch has made of the widths before: code that is compiled, and weights that autocast has cast.

    Nothing compiled fits any more, yet it would count against the number of compilations (8) after which torch.compile
    gives up and runs everything as if it had not been asked to compile.
    """
    remove_from_cache(type(module).forward)
    torch.clear_autocast_cache()


def slice_state(root: nn.Module, plan: PrunePlan, optimizer: Optimizers | None = None) -> None:
    """Slices what a plan slices, optimizer first, and adds to biases what they take over."""
    kept: dict[str, Kept] = {
        name: tuple(
            None if index is None else torch.from_numpy(index).to(fetch(root, name).device) for index in indices
        )
        for name, indices in plan.kept.items()
    }
    tensors = {name: fetch(root, name) for name in kept}
    if optimizer is not None:
        slice_optimizer(optimizer, {t: kept[name] for name, t in tensors.items() if isinstance(t, nn.Parameter)})
    for name, tensor in tensors.items():
        if isinstance(tensor, nn.Parameter):
            slice_parameter_(tensor, kept[name])
        else:
            slice_buffer_(tensor, kept[name])
    for absorbed in plan.absorbed:
        if absorbed.bias is not None:
            bias = fetch(root, absorbed.bias).detach()
            bias.add_(torch.from_numpy(absorbed.amount).to(bias))


def _report(module: CompressedModule, dead: Dead, plan: PrunePlan) -> PruneReport:
    quantizers = tuple(f"{path}." for path, _ in module.quantizers())
    parameters = {name: p for name, p in module.named_parameters() if not name.startswith(quantizers)}
    lost = 0
    for name, indices in plan.kept.items():
        if name in parameters:
            shape = parameters[name].shape
            left = 1
            for size, index in zip(shape, indices, strict=True):
                left *= size if index is None else len(index)
            lost += parameters[name].numel() - left
    weights = sum(p.numel() for p in parameters.values())
    channels = sum(axis.size for axis in module.channels.axes if axis.pinned is None)
    gone = sum(before - after for _, before, after in plan.channels)
    return PruneReport(
        plan, channels, channels - gone, weights, weights - lost,
        sum(int(mask.sum()) for mask in dead.blocked.values()),
        {name: int(mask.sum()) for name, mask in dead.blockers.items()},
    )  # fmt: skip
