"""The one property the library promises: prune() never changes what a network computes.

`check_exact` compares a pruned network with the ORIGINAL PyTorch module, into whose full-sized parameters the pruned
ones are scattered back. The removed entries keep the values they had when they were removed, because a removed channel
need not be zero: it may be one that nobody reads. So the reference shares no code with the library.

Dropout and stochastic depth must be off (p = 0) in the models under test: their random masks have the shape of their
input, so that with fewer channels the same random state draws different masks.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

import scfx
from scfx.removal.plan import PrunePlan
from tests.comparison import TOLERANCE, require_equal
from tests.double import DoublePrecision
from tests.observation import Inputs, MakeInputs, OneThread, maker, observe, restore, state_of
from tests.twin import Check, IllConditionedError, Twin
from tests.zeroing import VARIANTS, Graph, Variant, Zeroed, output_dims, zero_channels


@dataclass
class Outcome:
    """What a successful `check_exact` saw."""

    checks: list[Check] = field(default_factory=list)
    """What was compared, and how far it was off."""
    channels: list[int] = field(default_factory=list)
    """Number of channels over all axes: at the start and after each round."""
    weights: list[int] = field(default_factory=list)
    """Number of parameter entries: at the start and after each round."""
    seconds: list[float] = field(default_factory=list)
    """Processor time that each round's pruning took."""
    spared: int = 0
    """Number of channels that "everything_first" zeroed, less those that pruning removed (some go as a consequence)."""
    zeroed: list[list[Zeroed]] = field(default_factory=list)
    """What was zeroed before each round's pruning."""
    operators: set[str] = field(default_factory=set)
    """Qualified names of the operators of both graphs."""
    plans: list[PrunePlan] = field(default_factory=list)
    """What each round's pruning did."""

    @property
    def worst(self) -> float:
        """Largest relative error of any tensor compared."""
        return max(check.error for check in self.checks)

    @property
    def removed(self) -> int:
        """Number of parameter entries removed over all rounds."""
        return self.weights[0] - self.weights[-1]


def make_optimizer(kind: str, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """Return an optimizer with state. The large eps of the Adam kinds keeps rounding noise from becoming full steps."""
    if kind == "sgd":
        return torch.optim.SGD(parameters, lr=1e-2, momentum=0.9, weight_decay=1e-3)
    if kind == "adam":
        return torch.optim.Adam(parameters, lr=1e-3, eps=1e-3, weight_decay=1e-3)
    if kind == "adamw":
        return torch.optim.AdamW(parameters, lr=1e-3, eps=1e-3, weight_decay=1e-2)
    raise ValueError(f"unknown optimizer kind {kind!r}, choose one of sgd, adam, adamw")


OPTIMIZERS = ("sgd", "adam", "adamw")


def check_graph(net: nn.Module, graph: Graph, name: str) -> None:
    """Require that the indices of every channel lie inside the parameter or buffer, each once.

    Two channels may share an index: in the flattened product of an axis with itself, entry (i, j) belongs to both.
    """
    shapes = {n: tuple(t.shape) for n, t in state_of(net).items()}
    for axis in graph.axes:
        for member in axis.members:
            if member.name not in shapes:
                continue
            size = shapes[member.name][member.dim]
            for channel in range(axis.size):
                taken = member.indices(channel).tolist()
                where = f"{name}: channel {channel} of {member.name} dim {member.dim} of size {size}"
                assert all(0 <= i < size for i in taken), f"{where} has indices outside"
                assert len(set(taken)) == len(taken), f"{where} has an index twice"


def total_channels(graph: Graph) -> int:
    """Return the number of channels over all axes."""
    return sum(axis.size for axis in graph.axes)


@OneThread()
@DoublePrecision()
def check_exact(
    model: nn.Module,
    example: Inputs | MakeInputs,
    *,
    net: scfx.CompressedModule | None = None,
    name: str = "model",
    seed: int = 0,
    rounds: int = 3,
    batches: tuple[int, int] = (2, 3),
    thorough: bool = True,
    optimizer: str | None = None,
    variants: tuple[Variant, ...] = VARIANTS,
    everything_first: bool = False,
    dynamic: bool = True,
    branches: bool = False,
    tolerance: float = TOLERANCE,
) -> Outcome:
    """Compress a model without quantizers, prune it several times, and require that nothing changes but its size.

    Each round takes one real training step, zeroes random channels, prunes with the optimizer, and compares outputs,
    gradients, buffers and the next optimizer step, in eval and train mode and for every batch size, with the original
    module. Round 0 zeroes nothing: capture itself, and pruning of what is already zero, must change nothing either.

    Args:
        model: a module in float64 without randomness. It is used up: it becomes the reference.
        example: example inputs, positional or keyword, batch first; or a function that makes inputs of a batch size
            from a seed. Example tensors are varied as `observation.resize_batch` does it.
        net: what `compress` made of the model without quantizers, where that is at hand.
        name: the model's name, for messages.
        seed: seed of inputs, projections and zeroing.
        rounds: number of times that channels are zeroed and pruned.
        batches: batch sizes to compare.
        thorough: compare both modes with both batch sizes in every round; else each with one, turn and turn about.
        optimizer: one of `OPTIMIZERS`, or None to let the seed choose.
        variants: ways of zeroing to choose from, see `zeroing.VARIANTS`.
        everything_first: whether round 1 zeroes whole channels, but never all of an axis. Then all that it zeroes must
            go, unless a channel ends in something else than sums over channels; `Outcome.spared` says how many stayed.
        dynamic, branches: as for `compress`.
        tolerance: largest accepted relative error, see `comparison.relative_error`.
    """
    rng = random.Random(seed)
    writes = output_dims(model)
    inputs = maker(example)
    if net is None:
        given = state_of(model)
        given_inputs = inputs(2, seed) if callable(example) else example
        net = scfx.compress(model, given_inputs, quantize=False, dynamic=dynamic, branches=branches)
        require_equal(state_of(model), given, f"{name}, the model given to compress()")
    twin = Twin(net, model, inputs, name)
    kind = optimizer or OPTIMIZERS[seed % len(OPTIMIZERS)]
    owner = make_optimizer(kind, list(net.parameters()))
    outcome = Outcome(twin.checks, [total_channels(net.channels)], [sum(p.numel() for p in net.parameters())])
    cases = [(training, batch) for batch in batches for training in (False, True)]
    for training in (False, True):
        nodes = net.train(training).graph_module.graph.nodes
        outcome.operators |= {str(node.target) for node in nodes if node.op == "call_function"}
    twin.compare("as captured", cases, seed, tolerance)
    for turn in range(rounds + 1):
        observe(net, inputs(4, seed + turn), True, seed + turn, scale=None)
        owner.step()
        whole = everything_first and turn == 1
        ways: tuple[Variant, ...] = ("everything",) if whole else variants
        graph = net.channels
        given = state_of(net)
        zeroed = zero_channels(net, graph, rng, writes=writes, variants=ways, whole_axes=not whole) if turn else []
        twin.note()
        if zeroed and not twin.is_defined(seed + turn):  # as the direction of a zero vector, which weight norm takes
            restore(net, given)
            zeroed = zero_channels(net, graph, rng, writes=writes, variants=("consumers",), whole_axes=False)
            twin.note()
        states = twin.full_state(owner)
        before = total_channels(graph)
        outcome.seconds.append(twin.prune(owner))
        rest = [f"{len(zeroed) - 6} more"] if len(zeroed) > 6 else []
        where = f"round {turn} ({kind}; zeroed {'; '.join([*map(str, zeroed[:6]), *rest]) or 'nothing'})"
        check_graph(net, net.channels, f"{name}, {where}")
        if whole:
            outcome.spared = sum(len(z.channels) for z in zeroed) - before + total_channels(net.channels)
        if total_channels(net.channels) != before or zeroed:
            chosen = cases if thorough else [cases[turn % 2], cases[3 - turn % 2]]
            twin.compare(where, chosen, seed + turn, tolerance)
        reference = make_optimizer(kind, list(model.parameters()))
        twin.step(owner, reference, states, f"step after {where}", tolerance)
        outcome.channels.append(total_channels(net.channels))
        outcome.weights.append(sum(p.numel() for p in net.parameters()))
        outcome.zeroed.append(zeroed)
    outcome.plans = twin.plans
    return outcome


def check_well_conditioned(
    build: Callable[[], nn.Module], example: Inputs | MakeInputs, *, seed: int, **options: Any
) -> Outcome:
    """Run `check_exact` on a freshly built model, with another seed where rounding alone decided the result."""
    for attempt in range(3):
        try:
            return check_exact(build(), example, seed=seed + 100 * attempt, **options)
        except IllConditionedError:
            if attempt == 2:
                raise
    raise AssertionError("unreachable")
