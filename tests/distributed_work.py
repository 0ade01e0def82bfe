"""What runs in each of two processes for tests/test_distributed.py, and the networks and the training loop for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import scfx
from tests.toys import images, labels, small

SIZES = (5, 3)
"""How many samples each process gets of a batch: not the same number."""


class Plain(nn.Module):
    """A network without batch norm: what it computes for a sample depends on no other sample."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3, padding=1), nn.ReLU(), nn.Flatten()
        )
        self.head = nn.Linear(6 * 64, 10)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.layers(x))
        return result


class Holder(nn.Module):
    """Something around a compressed module, as a trainer's module is."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Any:
        return self.net(x)


def compressed(model: nn.Module, prune_every: int | None = 5) -> scfx.CompressedModule:
    """With channels of few bits and of many, so that they go one after the other."""
    net = scfx.compress(model.double(), images(2), dynamic=False)
    net.prune_every = prune_every
    with torch.no_grad():
        for _, quantizer in net.quantizers():
            quantizer.bits.copy_(torch.linspace(0.5, 8, len(quantizer.bits)))
    return net


def train(
    net: scfx.CompressedModule, wrapper: nn.Module, rank: int | None, accumulate: int = 1, steps: int = 20
) -> list[tuple[int, int, int]]:
    """Trains on this rank's part of each batch, or on all of it; returns what went, and when."""
    optimizer = torch.optim.Adam(net.param_groups(lr=1e-3, quantizer_lr=0.3))
    removed = []
    for step in range(steps):
        optimizer.zero_grad()
        for part in range(accumulate):
            x, y = images(sum(SIZES), step + part), labels(sum(SIZES), step + part)
            scale = 1.0
            if rank is not None:
                x, y = x.split(SIZES)[rank], y.split(SIZES)[rank]
                scale = len(SIZES) * SIZES[rank] / sum(SIZES)  # gradients are averaged over processes, not samples
            waits = isinstance(wrapper, DistributedDataParallel) and part < accumulate - 1
            with wrapper.no_sync() if waits else contextlib.nullcontext():  # type: ignore[operator]
                loss = scale * nn.functional.cross_entropy(wrapper(x), y) + 2.0 * net.size()
                (loss / accumulate).backward()
        optimizer.step()
        report = scfx.distributed.update(wrapper, optimizer)
        if report is not None:
            removed.append((step, report.channels_before, report.channels_after))
    return removed


def values(net: nn.Module) -> dict[str, Any]:
    return {name: tensor.tolist() for name, tensor in net.state_dict().items()}


def work() -> dict[str, Any]:
    """All of it in one go, since starting processes takes longer than this."""
    torch.manual_seed(0)
    net = compressed(Plain())
    found: dict[str, Any] = {}
    for name, accumulate, options in OPTIONS:
        copy = deepcopy(net)
        ddp = DistributedDataParallel(copy, **options)
        found[name] = train(copy, ddp, dist.get_rank(), accumulate), values(copy)
    for scenario in (norms, disagreement, own_buffers, counts, refused, hook, unaware, alone, sharded):
        found[scenario.__name__] = scenario(deepcopy(net))
    return found


OPTIONS: list[tuple[str, int, dict[str, Any]]] = [
    ("plain", 1, {}),
    ("accumulated", 2, {"gradient_as_bucket_view": True}),
    ("static", 1, {"static_graph": True}),
]


def norms(_: scfx.CompressedModule) -> Any:
    """Batch norms see each process's own samples; and a group that isn't the default one, around a holder."""
    net = compressed(small())
    with torch.no_grad():
        for name in ("0.bias", "1.bias", "3.bias"):
            net.get_parameter(name).zero_()
    ddp = DistributedDataParallel(Holder(net), process_group=dist.new_group())
    removed = train(net, ddp, dist.get_rank(), steps=25)
    ddp(images(2))  # which shares the buffers
    return removed, values(net)


def refusal(call: Callable[[], object]) -> str:
    """The error that a call ends in."""
    try:
        call()
    except scfx.ScfxError as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("nothing was refused")


def step(net: scfx.CompressedModule, ddp: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    ddp(images(2)).sum().backward()
    optimizer.step()
    return optimizer


def kill(net: scfx.CompressedModule, channels: int) -> None:
    """Makes some channels of the first layer removable, at once."""
    net.guards = scfx.Guards(fall=float("inf"))
    with torch.no_grad():
        net.get_parameter("layers.0.weight_quantizer.bits")[:channels] = 0
        net.get_parameter("layers.0.bias")[:channels] = 0


def disagreement(net: scfx.CompressedModule) -> Any:
    """One process has changed its parameters by itself."""
    net.prune_every = 1
    ddp = DistributedDataParallel(net)
    optimizer = step(net, ddp)
    kill(net, 2 + dist.get_rank())
    before = {name: tensor.shape for name, tensor in net.state_dict().items()}
    message = refusal(lambda: scfx.distributed.update(ddp, optimizer))
    return message, before == {name: t.shape for name, t in net.state_dict().items() if name in before}


def own_buffers(_: scfx.CompressedModule) -> Any:
    """A buffer that only one process has set to zero, without and with the first one's being shared."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)).double()
    with torch.no_grad():
        for name in ("0.weight", "0.bias", "1.bias"):
            model.get_parameter(name)[1] = 0
    net = scfx.compress(model, images(2), quantize=False, dynamic=False)
    found = []
    for share in (False, True):
        copy = deepcopy(net)
        ddp = DistributedDataParallel(copy, broadcast_buffers=share)
        copy.get_buffer("1.running_mean")[1] = float(dist.get_rank())
        try:
            report = scfx.distributed.prune(ddp)
            found.append(f"{report.channels_before} -> {report.channels_after}")
        except scfx.PlanError as error:
            found.append(str(error))
    return found


def counts(net: scfx.CompressedModule) -> Any:
    net.prune_every = 1 + dist.get_rank()
    ddp = DistributedDataParallel(net)
    optimizer = step(net, ddp)
    return refusal(lambda: scfx.distributed.update(ddp, optimizer))


def refused(net: scfx.CompressedModule) -> Any:
    ddp = DistributedDataParallel(net)
    optimizer = step(net, ddp)
    ddp.register_comm_hook(PowerSGDState(None), powerSGD_hook)
    found = [refusal(lambda: scfx.distributed.update(ddp, optimizer))]
    with ddp.join():
        found.append(refusal(lambda: scfx.distributed.update(ddp, optimizer)))
    return found


def hook(net: scfx.CompressedModule) -> Any:
    """A hook without a state is still called after a removal."""
    net.prune_every = 1
    ddp = DistributedDataParallel(net)
    called = []

    def averaged(bucket: Any) -> Any:
        called.append(bucket.buffer().numel())
        assert dist.group.WORLD is not None
        return allreduce_hook(dist.group.WORLD, bucket)

    ddp.register_comm_hook(None, lambda state, bucket: averaged(bucket))
    optimizer = step(net, ddp)
    kill(net, 2)
    assert scfx.distributed.update(ddp, optimizer)
    before = len(called)
    step(net, ddp)
    return sum(called[before:]) == sum(p.numel() for p in net.parameters()) < sum(called[:before])


def unaware(net: scfx.CompressedModule) -> Any:
    """Without scfx.distributed, or not told of the wrapper, removal would leave the wrapper with the old sizes."""
    ddp = DistributedDataParallel(Holder(net))
    optimizer = step(net, ddp)
    kill(net, 2)
    return refusal(lambda: net.prune(optimizer)), refusal(lambda: scfx.distributed.prune(net, optimizer))


def alone(net: scfx.CompressedModule) -> Any:
    """Several processes that average gradients by themselves."""
    kill(net, 1 + dist.get_rank())
    return refusal(lambda: scfx.distributed.prune(net))


def sharded(net: scfx.CompressedModule) -> Any:
    small = net.finalize().train()
    fully_shard(net)
    fully_shard(small)
    small(images(2)).sum().backward()
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    calls = (net.size, lambda: net.update(optimizer), net.prune, net.finalize)
    return [refusal(call) for call in calls], sum(p.grad is not None for p in small.parameters())
