"""Residual branches lose channels that their trunk keeps, and the other way round, and nothing else changes."""

import copy
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import scfx
from scfx.nodes.merging import MERGE
from scfx.signatures import override
from scfx.signatures.call import Call, bind
from scfx.signatures.merging import RECORDS, Merge
from scfx.signatures.record import Kept, Replacement
from scfx.terms.facts import Mask, Zeros
from tests.comparison import TOLERANCE
from tests.observation import Inputs
from tests.oracle import check_exact, check_well_conditioned, make_optimizer
from tests.toys import Residual, images
from tests.twin import Twin
from tests.zeroing import zero_channels


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding into some channels costs nothing, so that all branches are as narrow as they can be."""
    monkeypatch.setattr("scfx.removal.worth.ADDING", 0)


def places(net: scfx.CompressedModule) -> list[tuple[int, list[int] | None, list[int] | None]]:
    """The size of each merge, and where its operands stand in it."""
    found = (node for node in net.graph_module.graph.nodes if node.target is MERGE)
    calls = (bind(node.target, node.args, node.kwargs) for node in found)
    return [(call["size"], call["self_at"], call["other_at"]) for call in calls]


class Bottleneck(nn.Module):
    """Two bottleneck blocks, the first with a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.blocks = nn.ModuleList(self.block(inputs) for inputs in (6, 12))
        self.projection = nn.Sequential(nn.Conv2d(6, 12, 1, bias=False), nn.BatchNorm2d(12))
        self.head = nn.Linear(12, 5)

    @staticmethod
    def block(inputs: int) -> nn.Module:
        sizes = ((inputs, 4, 1), (4, 4, 3), (4, 12, 1))
        layers = [nn.Sequential(nn.Conv2d(i, o, k, padding=k // 2), nn.BatchNorm2d(o)) for i, o, k in sizes]
        return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.blocks[0](x) + self.projection(x))
        x = torch.relu(self.blocks[1](x) + x)
        result: Tensor = self.head(x.mean((2, 3)))
        return result


class Encoder(nn.Module):
    """A transformer over tokens, norms in front of the branches or behind the sums."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 12)
        layer = nn.TransformerEncoderLayer(12, 3, 20, 0.0, batch_first=True, norm_first=norm_first)
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        result: Tensor = self.head(self.norm(x))
        return result


class Sums(nn.Module):
    """Sums of sums that no layer reads, one with its channels in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(6, 6, 3, padding=1) for _ in range(4))
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = x + self.convs[0](x) + self.convs[1](x)
        y = y + torch.relu(self.convs[2](y))
        z = y.flip(1) + self.convs[3](x)
        result: Tensor = self.head((torch.sigmoid(z) * y).mean((2, 3)))
        return result


def tokens(batch: int, seed: int) -> Inputs:
    return (torch.randint(0, 11, (batch, 6), generator=torch.Generator().manual_seed(seed)),)


def pictures(batch: int, seed: int) -> Inputs:
    return (images(batch, seed),)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[int, int], Inputs]]] = {
    "basic blocks": (Residual, pictures),
    "bottlenecks": (Bottleneck, pictures),
    "norms first": (lambda: Encoder(True), tokens),
    "norms last": (lambda: Encoder(False), tokens),
    "sums of sums": (Sums, pictures),
}


def built(name: str, **options: Any) -> tuple[nn.Module, scfx.CompressedModule, Callable[[int, int], Inputs]]:
    build, inputs = NETWORKS[name]
    torch.manual_seed(0)
    model = build().double()
    return model, scfx.compress(model, inputs(2, 0), branches=True, **options), inputs


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize(
    ("name", "optimizer"), list(zip(NETWORKS, ("adamw", "sgd", "adam", "sgd", "adam"), strict=True))
)
def test_nothing_changes_but_the_size(name: str, optimizer: str) -> None:
    build, inputs = NETWORKS[name]
    outcome = check_well_conditioned(
        lambda: build().double(), inputs, seed=0, optimizer=optimizer, thorough=False, branches=True
    )
    edits = [edit.arguments for plan in outcome.plans for edit in plan.edits["train"].values()]
    assert any(edit.get("self_at") or edit.get("other_at") for edit in edits)
    assert outcome.removed > 0.5 * outcome.weights[0]


@pytest.mark.parametrize("name", ["basic blocks", "norms last", "sums of sums"])
def test_branches_that_are_not_worth_it_go_with_the_trunk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then exactly those channels go that would have gone without branches of their own; else those, and more."""
    model, own, inputs = built(name, quantize=False)
    tied = scfx.compress(model, inputs(2, 0), quantize=False)
    zero_channels(tied, tied.channels, random.Random(0))
    own.load_state_dict(tied.state_dict())
    freest = copy.deepcopy(own)
    tied.prune()
    monkeypatch.setattr("scfx.removal.worth.ADDING", 10**30)
    own.prune()
    monkeypatch.setattr("scfx.removal.worth.ADDING", 0)
    freest.prune()
    shapes = [{name: tuple(p.shape) for name, p in net.named_parameters()} for net in (tied, own, freest)]
    assert shapes[0] == shapes[1]
    assert all(one is None and other is None for _, one, other in places(own))
    assert all(a >= b for name in shapes[0] for a, b in zip(shapes[0][name], shapes[2][name], strict=True))


class Figure(nn.Module):
    """A stream, a residual branch that reads it, and a layer that reads the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner = nn.Conv2d(1, 200, 1), nn.Conv2d(200, 5, 1)
        self.outer, self.norm = nn.Conv2d(5, 200, 1), nn.BatchNorm2d(200)
        self.head = nn.Conv2d(200, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = x + self.norm(self.outer(torch.relu(self.inner(x))))
        result: Tensor = self.head(x).mean((2, 3))
        return result


@pytest.mark.usefixtures("free")
def test_each_branch_has_its_own_subset() -> None:
    """Figure 4 of the paper: a stream of 102 channels, a shortcut with 9 of them, a branch of 97, 100 in the sum."""
    torch.manual_seed(0)
    model = Figure().double()
    net = scfx.compress(model, images(2), quantize=False, branches=True)
    optimizer = make_optimizer("adam", list(net.parameters()))
    net(images(2)).square().sum().backward()
    optimizer.step()
    stream, total, branch = range(102), range(93, 193), range(96, 193)
    with torch.no_grad():
        for names, dim, kept in (
            (("stem.weight", "stem.bias"), 0, stream),
            (("outer.weight", "outer.bias", "norm.weight", "norm.bias"), 0, branch),
            (("head.weight",), 1, total),
        ):
            gone = torch.tensor([index for index in range(200) if index not in kept])
            for name in names:
                net.get_parameter(name).index_fill_(dim, gone, 0)
    twin = Twin(net, model, lambda batch, seed: (images(batch, seed),), "figure 4")
    twin.note()
    states = twin.full_state(optimizer)
    twin.prune(optimizer)
    cases = [(training, batch) for training in (False, True) for batch in (2, 5)]
    twin.compare("once narrow", cases, 0, TOLERANCE)
    twin.step(optimizer, make_optimizer("adam", list(model.parameters())), states, "a step", TOLERANCE)
    assert [net.get_parameter(f"{name}.weight").shape[:2] for name in ("stem", "inner", "outer", "head")] == [
        (102, 1), (5, 102), (97, 5), (3, 100),
    ]  # fmt: skip
    ((size, shortcut, other),) = places(net)
    assert size == 100
    assert shortcut == [-1] * 93 + list(range(9))
    assert other == list(range(3, 100))


class Deaf(Merge):
    """Takes it that nothing of a branch arrives in the sum."""

    def sink_zeros(self, call: Call, facts: Mapping[str, Zeros]) -> Mapping[str, Mask | None]:
        return {name: np.ones(call.shape(name)[1], bool) for name in ("self", "other")}


class Crowded(Merge):
    """Adds what is left into the first channels."""

    def resize(self, call: Call, kept: Kept) -> Replacement | None:
        change = super().resize(call, kept)
        if change is None:
            return None
        lists = {name: list(range(len(at))) for name, at in change.arguments.items() if isinstance(at, list)}
        return Replacement({**change.arguments, **lists})


class Forgetful(Merge):
    """Takes the sum to be zero where one branch is."""

    def zeros(self, call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        return (facts["other"],) if call.arguments["self_at"] is None else super().zeros(call, facts)


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize("wrong", [Deaf, Crowded, Forgetful])
def test_wrong_rules_are_found(wrong: type[Merge]) -> None:
    (right,) = RECORDS
    with override("scfx.merge.default", wrong(targets=right.targets, doc=right.doc)):
        model, net, inputs = built("basic blocks", quantize=False)
        with pytest.raises(AssertionError):
            check_exact(model, inputs, net=net, thorough=False, rounds=6, optimizer="sgd")
