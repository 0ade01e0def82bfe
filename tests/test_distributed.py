"""Several processes: they train as one would, remove the same channels at the same time, and say so if they can't."""

import contextlib
from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import scfx
from tests.processes import together
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


# What runs in each of two processes: all of it in one go, since starting takes longer than running.


def work() -> dict[str, Any]:
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


def refusal(call: Any) -> str:
    with pytest.raises(scfx.ScfxError) as caught:
        call()
    return f"{type(caught.value).__name__}: {caught.value}"


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


# What came out.


@pytest.fixture(scope="module")
def both() -> list[dict[str, Any]]:
    found = together(work)
    assert len(found) == 2
    return found


@pytest.fixture(scope="module")
def plain() -> scfx.CompressedModule:
    torch.manual_seed(0)
    return compressed(Plain())


@pytest.mark.parametrize(("name", "accumulate"), [option[:2] for option in OPTIONS])
def test_two_processes_train_as_one_does(
    both: list[dict[str, Any]], plain: scfx.CompressedModule, name: str, accumulate: int
) -> None:
    net = deepcopy(plain)
    removed = train(net, net, None, accumulate)
    assert len(removed) > 1
    for removed_there, state in (each[name] for each in both):
        assert removed_there == removed
        for key, value in net.state_dict().items():
            there = torch.tensor(state[key], dtype=value.dtype)
            torch.testing.assert_close(there, value, rtol=1e-9, atol=1e-9, msg=key)


def test_running_statistics_decide_nothing(both: list[dict[str, Any]]) -> None:
    (removed, state), (removed_there, state_there) = (each["norms"] for each in both)
    assert removed == removed_there
    assert removed
    assert state == state_there


def test_processes_that_disagree_say_why(both: list[dict[str, Any]]) -> None:
    for message, unchanged in (each["disagreement"] for each in both):
        assert message.startswith("PlanError: the processes would remove different channels; these differ between them")
        assert "layers.0.weight_quantizer.bits" in message
        assert "Parameters stay the same if" in message
        assert unchanged


def test_buffers_of_the_first_process_count(both: list[dict[str, Any]]) -> None:
    for own, shared in (each["own_buffers"] for each in both):
        assert "1.running_mean. They are buffers" in own
        assert shared == "4 -> 3"


def test_processes_that_count_differently_are_told(both: list[dict[str, Any]]) -> None:
    assert all("net.prune_every is not the same in all processes" in each["counts"] for each in both)


def test_what_cannot_follow_is_refused(both: list[dict[str, Any]]) -> None:
    for state, joining in (each["refused"] for each in both):
        assert "powerSGD_hook has a state of its own" in state
        assert "run out of data" in joining


def test_hooks_stay(both: list[dict[str, Any]]) -> None:
    assert all(each["hook"] for each in both)


def test_a_removal_behind_the_wrappers_back_is_refused(both: list[dict[str, Any]]) -> None:
    for messages in (each["unaware"] for each in both):
        assert all("call scfx.distributed.update(wrapper, optimizer)" in message for message in messages)


def test_without_a_wrapper_the_plans_are_compared_too(both: list[dict[str, Any]]) -> None:
    assert all("layers.0.bias" in each["alone"] for each in both)


def test_sharded_parameters_are_refused(both: list[dict[str, Any]]) -> None:
    for messages, gradients in (each["sharded"] for each in both):
        assert all("shard what net.finalize() gives" in message for message in messages)
        assert gradients


def test_one_process_needs_no_group(plain: scfx.CompressedModule) -> None:
    net = deepcopy(plain)
    net.prune_every = 1
    optimizer = step(net, net)
    kill(net, 2)
    report = scfx.distributed.update(net, optimizer)
    assert report is not None
    assert report.channels_after == report.channels_before - 2


def test_the_one_compressed_module_is_found(plain: scfx.CompressedModule) -> None:
    net = deepcopy(plain)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    with pytest.raises(scfx.InputError, match="holds 2 compressed modules"):
        scfx.distributed.update(nn.ModuleList([net, deepcopy(net)]), optimizer)
    with pytest.raises(scfx.InputError, match="Linear holds no compressed module"):
        scfx.distributed.prune(nn.Linear(2, 2))
