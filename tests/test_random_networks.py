"""Pruning changes nothing that any random network computes; see `tests.networks` for what is drawn.

Here it is always the same few networks: `make fuzz` draws many new ones.
"""

import random

import torch
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import scfx
from scfx.removal.plan import PrunePlan
from tests.comparison import TOLERANCE, NotFiniteError, relative_error
from tests.fuzz import check
from tests.networks import Network, networks
from tests.observation import OneThread, float_outputs
from tests.oracle import check_graph
from tests.twin import IllConditionedError
from tests.zeroing import zero_channels

random_networks = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def axes_of(graph: scfx.ChannelGraph) -> list[tuple[int, str | None, list[tuple[str, int, list[list[int]]]]]]:
    """Return all that a graph says about its axes, in an order that does not depend on how they were found."""
    return sorted(
        (
            (
                axis.size,
                axis.pinned,
                sorted(
                    (member.name, member.dim, [member.indices(channel).tolist() for channel in range(axis.size)])
                    for member in axis.members
                ),
            )
            for axis in graph.axes
        ),
        key=repr,
    )


@random_networks
@given(networks(most=8), st.integers(0, 1000))
def test_pruning_is_exact(network: Network, seed: int) -> None:
    try:
        list(check(network, seed, trials=2))
    except (NotFiniteError, IllConditionedError):
        reject()


@OneThread()
@settings(random_networks, max_examples=4)
@given(networks(most=8))
def test_analysis_is_deterministic_and_leaves_the_model_alone(network: Network) -> None:
    model = network.build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first, second = (axes_of(scfx.channel_graph(model, network.example())) for _ in range(2))
    assert first == second
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


Index = tuple[str, int, int]
"""One index of one dimension of a parameter."""


def covered(graph: scfx.ChannelGraph) -> set[Index]:
    """Return what belongs to a channel of some axis."""
    return {
        (member.name, member.dim, int(index))
        for axis in graph.axes
        for member in axis.members
        for channel in range(axis.size)
        for index in member.indices(channel)
    }


def left_of(graph: scfx.ChannelGraph, plan: PrunePlan) -> set[Index]:
    """Return what is left after pruning, in the new counting, of axes of which more than one channel is."""
    result: set[Index] = set()
    for axis in graph.axes:
        channels: set[int] = set()
        found: set[Index] = set()
        for member in axis.members:
            kept = plan.kept.get(member.name, {member.dim: None})[member.dim]
            places = None if kept is None else {int(index): place for place, index in enumerate(kept)}
            for channel in range(axis.size):
                for index in map(int, member.indices(channel)):
                    if places is None or index in places:
                        channels.add(channel)
                        found.add((member.name, member.dim, index if places is None else places[index]))
        if len(channels) > 1:
            result |= found
    return result


@OneThread()
@settings(random_networks, max_examples=4)
@given(networks(most=8), st.integers(0, 1000))
def test_the_graph_follows_the_pruned_network(network: Network, seed: int) -> None:
    net = scfx.compress(network.build(seed), network.example(), quantize=False)
    before = net.channels
    zero_channels(net, before, random.Random(seed), variants=("everything",), whole_axes=False)
    plan = net.prune().plan
    check_graph(net, net.channels, "pruned network")
    assert left_of(before, plan) <= covered(net.channels)


@OneThread()
def test_removing_live_channels_would_be_seen() -> None:
    """Zeroing channels of a trained-looking network and pruning them moves the output of nearly every network."""
    moved = total = 0

    @settings(random_networks, max_examples=6)
    @given(networks(most=8))
    def count(network: Network) -> None:
        nonlocal moved, total
        model, inputs = network.build(), network.example()
        net = scfx.compress(model, inputs, quantize=False)
        done = zero_channels(net, net.channels, random.Random(0), variants=("everything",), whole_axes=False)
        size = sum(parameter.numel() for parameter in net.parameters())
        net.prune()
        if not done or sum(parameter.numel() for parameter in net.parameters()) == size:
            return
        with torch.no_grad():
            expected, actual = (float_outputs(module.eval()(*inputs)) for module in (model, net))
        total += 1
        moved += any(relative_error(a, e) > TOLERANCE for a, e in zip(actual, expected, strict=True))

    count()
    assert total >= 3
    assert moved >= 0.8 * total
