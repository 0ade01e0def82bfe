"""Several processes: they train as one would, remove the same channels at the same time, and say so if they can't."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

import scfx
from tests.distributed_work import OPTIONS, Plain, compressed, kill, step, train, work
from tests.processes import together


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
