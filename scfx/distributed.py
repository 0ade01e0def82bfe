"""Training in several processes, with torch's DistributedDataParallel: all of them remove the same channels.

Each process holds the whole network and sees the same averaged gradients, so each finds out by itself what can go. What
they found is compared before anything is removed. What does differ between processes, the running statistics of batch
norms, decides nothing: a running mean counts as zero where the norm's input is zero in training, whatever the data was,
and `scfx.training.training` sets it in each process. Where it may matter after all, in a network without quantizers
that loses channels which are zero already, the buffers of process 0 count, as in DistributedDataParallel itself.

After a removal DistributedDataParallel is told the new sizes. It stays the same object, so that whatever holds it (a
trainer, `torch.compile`) needs no telling.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from scfx.errors import InputError, PlanError
from scfx.module import CompressedModule
from scfx.removal.plan import PrunePlan
from scfx.surgery.optimizers import Optimizers
from scfx.surgery.parallel import refuse_wrapped
from scfx.surgery.pruning import PruneReport
from scfx.surgery.pruning import prune as prune_here

_NAMES_SHOWN = 5

#: Those whose processes are known to count their updates alike.
_counting_alike: weakref.WeakSet[CompressedModule] = weakref.WeakSet()


def update(module: nn.Module, optimizer: Optimizers) -> PruneReport | None:
    """To be called after each `optimizer.step()`, in all processes: `net.update(optimizer)` for several of them.

    Args:
        module: A DistributedDataParallel around the compressed module, or around a module that holds it. Without one,
            where there is a single process, the compressed module itself, so that a script runs either way.
        optimizer: As in `CompressedModule.update`, or what Accelerate or Lightning have put around it.

    Returns:
        The report of what was removed, the same in all processes, if anything was.

    Raises:
        InputError: The module holds no compressed module, or several; or what DistributedDataParallel was told to do
            can't follow a removal. Nothing changes.
        PlanError: The processes would remove different channels. Nothing is removed.
        OptimizerError: As in `CompressedModule.update`.
    """
    net = compressed_module(module)
    ddp = _wrapper(module)
    if ddp is not None:
        _check_wrapper(ddp)
    _check_counts(net, _group(ddp))
    every = net.prune_every
    net.prune_every = None
    try:
        net.update(unwrapped(optimizer))
    finally:
        net.prune_every = every
    if every is None or net._training.step % every:
        return None
    report = prune(module, optimizer)
    return report if report else None


def prune(module: nn.Module, optimizer: Optimizers | None = None) -> PruneReport:
    """Removes in all processes what can go now: `net.prune(optimizer)` for several of them.

    Args:
        module: As in `update`.
        optimizer: Its state follows the parameters. Without one, make a new optimizer afterwards.

    Raises:
        InputError, PlanError, OptimizerError: As in `update`.
    """
    net = compressed_module(module)
    ddp = _wrapper(module)
    group = _group(ddp)
    if ddp is not None:
        _check_wrapper(ddp)
        if ddp.broadcast_buffers:
            _share_buffers(ddp)

    def agree(plan: PrunePlan) -> None:
        _compare(net, plan, group)
        if plan and ddp is None:
            refuse_wrapped(net)

    own = None if optimizer is None else unwrapped(optimizer)
    report = prune_here(net, own, constants=False, agree=agree)
    if report and ddp is not None:
        _rebuild(ddp)
    return report


def compressed_module(module: nn.Module) -> CompressedModule:
    """The one compressed module that a module is or holds.

    Raises:
        InputError: There is none, or there are several.
    """
    found = [each for each in module.modules() if isinstance(each, CompressedModule)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{type(module).__name__} holds {len(found)} compressed modules: wrap each in a DistributedDataParallel of "
            "its own"
        )
    raise InputError(
        f"{type(module).__name__} holds no compressed module: make one with scfx.compress(model, example_inputs) first"
    )


def unwrapped(optimizer: Optimizers) -> Optimizers:
    """The optimizers inside those of Accelerate and Lightning, whose state is that of the ones inside.

    Others that hold an optimizer have a state of their own, so they are left as they are.
    """
    if isinstance(optimizer, Sequence):
        return [each for one in optimizer for each in _as_list(unwrapped(one))]
    homes = {base.__module__.partition(".")[0] for base in type(optimizer).__mro__}
    inner = getattr(optimizer, "optimizer", None) if homes & {"accelerate", "lightning", "pytorch_lightning"} else None
    return optimizer if inner is None else unwrapped(inner)


def _as_list(optimizer: Optimizers) -> list[torch.optim.Optimizer]:
    return list(optimizer) if isinstance(optimizer, Sequence) else [optimizer]


def _wrapper(module: nn.Module) -> DistributedDataParallel | None:
    """The DistributedDataParallel that a module is or, if it was compiled, stands for."""
    while not isinstance(module, DistributedDataParallel):
        inner = module._modules.get("_orig_mod")
        if inner is None:
            return None
        module = inner
    return module


def _group(ddp: DistributedDataParallel | None) -> dist.ProcessGroup | None:
    """The processes that train together; None where there is only one."""
    if ddp is not None:
        group: dist.ProcessGroup = ddp.process_group
        return group
    return dist.group.WORLD if dist.is_available() and dist.is_initialized() else None


def _check_wrapper(ddp: DistributedDataParallel) -> None:
    """Raises InputError if the wrapper does something of which it isn't known how it follows a removal."""
    if ddp._join_config.enable:
        raise InputError(
            "inside a join context processes that have run out of data take no part in removals: give each process the "
            "same number of batches (DistributedSampler does), of any sizes, and leave the context out"
        )
    if ddp.mixed_precision is not None:
        raise InputError(
            "DistributedDataParallel with mixed_precision keeps copies of the parameters, which would not shrink: use "
            "torch.autocast instead"
        )
    if ddp._delay_all_reduce_params:
        raise InputError("DistributedDataParallel keeps one buffer for delay_all_reduce_named_params: leave it out")
    for hook, state in ddp._comm_hooks:
        if not (state is None or isinstance(state, dist.ProcessGroup)):
            raise InputError(
                f"the communication hook {hook.__qualname__} has a state of its own ({type(state).__name__}), and it "
                "isn't known how it follows a removal: use a hook without one, or set net.prune_every = None"
            )


def _check_counts(net: CompressedModule, group: dist.ProcessGroup | None) -> None:
    """Raises InputError, at the first update, if some processes would wait for others to remove with them."""
    if group is None or net in _counting_alike:
        return
    differing = _differing([net._training.step, net.prune_every or 0], next(net.parameters()).device, group)
    if differing:
        what = "the number of updates done" if differing[0] == 0 else "net.prune_every"
        raise InputError(
            f"{what} is not the same in all processes: set prune_every alike, and load a checkpoint in each of them"
        )
    _counting_alike.add(net)


def _share_buffers(ddp: DistributedDataParallel) -> None:
    """Gives every process the buffers of the first, as the next forward pass in training would."""
    for name, buffer in ddp.module.named_buffers():
        if name not in ddp.parameters_to_ignore:
            plain = buffer.detach()
            dist.broadcast(
                plain.view(torch.uint8) if plain.dtype == torch.bool else plain, None, ddp.process_group, group_src=0
            )


def _compare(net: CompressedModule, plan: PrunePlan, group: dist.ProcessGroup | None) -> None:
    """Raises PlanError in all processes unless all of them have the same plan."""
    if group is None or dist.get_world_size(group) == 1:
        return
    state = net._program.root.state_dict()
    device = next(net.parameters()).device
    if not _differing([_number(_written(plan))], device, group):
        return
    names = sorted(state)
    if _differing([_number("\n".join(names).encode())], device, group):
        why = "they do not even hold the same parameters: compress the same model, with the same arguments, in each"
    else:
        numbers = [
            _number(state[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy()) for name in names
        ]
        differing = [names[index] for index in _differing(numbers, device, group)]
        buffers = {name for name, _ in net._program.root.named_buffers()}
        why = "these differ between them: " + _few(differing) if differing else "though their tensors are the same"
        if differing and buffers.issuperset(differing):
            why += (
                ". They are buffers, which each process writes by itself: let DistributedDataParallel take those of "
                "process 0 (broadcast_buffers=True, its default)"
            )
        elif differing:
            why += (
                ". Parameters stay the same if every process starts with the same (DistributedDataParallel sees to it; "
                "load a checkpoint in each, or before wrapping), steps in each iteration, on gradients that were "
                "averaged (call the wrapper, not the network inside), and changes no parameter by itself"
            )
    raise PlanError(f"the processes would remove different channels; {why}. Nothing was removed")


def _written(plan: PrunePlan) -> bytes:
    lines = (
        f"{name} {dim} {index.tolist()}"
        for name, dims in sorted(plan.kept.items())
        for dim, index in enumerate(dims)
        if index is not None
    )
    return "\n".join(lines).encode()


def _number(data: Any) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:7])


def _differing(numbers: list[int], device: torch.device, group: dist.ProcessGroup) -> list[int]:
    """At which positions the numbers are not the same in all processes."""
    extremes = torch.tensor([numbers, [-number for number in numbers]], dtype=torch.int64, device=device)
    dist.all_reduce(extremes, dist.ReduceOp.MAX, group)
    differs: Tensor = extremes[0] != -extremes[1]
    return [int(index) for index in differs.nonzero()]


def _rebuild(ddp: DistributedDataParallel) -> None:
    """Has the wrapper build what it knows of sizes anew, in place, by the way it has for being unpickled."""
    hooks, ddp._comm_hooks = ddp._comm_hooks, []
    state = {name: value for name, value in vars(ddp).items() if name not in ("reducer", "logger")}
    # What a static graph is made of is found out in the first iteration, which there is one of again.
    state |= {"_static_graph_delay_allreduce_enqueued": False, "_has_rebuilt_buckets": False}
    del ddp.reducer, ddp.logger  # which takes the old reducer's hooks off the parameters
    ddp.__setstate__(state)
    for hook, of in hooks:
        ddp.register_comm_hook(of, hook)


def _few(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
