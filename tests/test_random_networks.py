"""Pruning changes nothing that any random network computes; see `tests.networks` for what is drawn.

`SCFX_FUZZ=1000 pytest tests/test_random_networks.py` draws that many new networks instead of the usual few.
"""

import os
import random

import torch
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import scfx
from tests.comparison import TOLERANCE, NotFiniteError, relative_error
from tests.networks import Network, networks
from tests.observation import OneThread, float_outputs
from tests.oracle import check_exact, check_graph
from tests.twin import IllConditionedError
from tests.zeroing import zero_channels

FUZZ = int(os.environ.get("SCFX_FUZZ", "0"))

random_networks = settings(
    max_examples=FUZZ or 40,
    derandomize=not FUZZ,
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
@given(networks(), st.integers(0, 1000))
def test_pruning_is_exact(network: Network, seed: int) -> None:
    try:
        check_exact(network.build(seed), network.example(), name="random network", seed=seed)
    except (NotFiniteError, IllConditionedError):
        reject()


@OneThread()
@settings(random_networks, max_examples=FUZZ or 12)
@given(networks())
def test_analysis_is_deterministic_and_leaves_the_model_alone(network: Network) -> None:
    model = network.build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first, second = (axes_of(scfx.channel_graph(model, network.example())) for _ in range(2))
    assert first == second
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def covered(graph: scfx.ChannelGraph, module: torch.nn.Module) -> set[tuple[str, int]]:
    """Return the parameter dimensions of more than one index, each of which belongs to a channel of some axis."""
    seen: dict[tuple[str, int], set[int]] = {}
    for axis in graph.axes:
        for member in axis.members:
            for channel in range(axis.size):
                seen.setdefault((member.name, member.dim), set()).update(member.indices(channel).tolist())
    sizes = {(name, dim): size for name, p in module.named_parameters() for dim, size in enumerate(p.shape)}
    return {key for key, indices in seen.items() if len(indices) == sizes.get(key)}


@OneThread()
@settings(random_networks, max_examples=FUZZ or 12)
@given(networks(), st.integers(0, 1000))
def test_the_graph_follows_the_pruned_network(network: Network, seed: int) -> None:
    net = scfx.compress(network.build(seed), network.example(), quantize=False)
    before = covered(net.channels, net)
    zero_channels(net, net.channels, random.Random(seed), variants=("everything",), whole_axes=False)
    net.prune()
    check_graph(net, net.channels, "pruned network")
    left = {(name, dim) for name, dim in before if net.get_parameter(name).shape[dim] > 1}
    assert left <= covered(net.channels, net)


@OneThread()
def test_removing_live_channels_would_be_seen() -> None:
    """Zeroing channels of a trained-looking network and pruning them moves the output of nearly every network."""
    moved = total = 0

    @settings(random_networks, max_examples=12)
    @given(networks())
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
    assert total >= 5
    assert moved >= 0.8 * total
