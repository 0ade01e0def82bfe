"""The numbers that stand for free sizes meet what a graph asks of them, and what that assumes is asked of each call."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import scfx
from scfx.capture.capture import capture
from scfx.capture.program import Program
from scfx.errors import InputError
from tests.oracle import check_exact


class Tagger(nn.Module):
    """Its own loss over all tokens: it needs as many targets, however both are laid out."""

    def __init__(self) -> None:
        super().__init__()
        self.items, self.hidden, self.head = nn.Embedding(20, 8), nn.Linear(8, 6), nn.Linear(6, 5)

    def forward(self, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = self.head(self.hidden(self.items(ids)).relu())
        return F.cross_entropy(logits.reshape(-1, 5), targets.reshape(-1))


class Captions(nn.Module):
    """Several captions for an image: what is seen is repeated for each."""

    def __init__(self) -> None:
        super().__init__()
        self.see, self.read, self.head = nn.Linear(4, 6), nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, text: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        seen = self.see(image).repeat(text.shape[0] // image.shape[0], 1)
        result: torch.Tensor = self.head((seen + self.read(text)).relu())
        return result


class Routed(nn.Module):
    """Tokens are dealt out to two experts by number: how many each gets depends on data, their sum doesn't."""

    def __init__(self) -> None:
        super().__init__()
        self.route, self.scale = nn.Linear(4, 2), nn.Linear(4, 4)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4)) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        chosen = self.route(x).argmax(1)
        order = chosen.argsort()
        parts = x[order].split(F.one_hot(chosen, 2).sum(0).tolist())
        made = torch.cat([expert(part) for expert, part in zip(self.experts, parts, strict=True)])
        result: torch.Tensor = torch.zeros_like(x).index_add(0, order, made * self.scale(x)[order])
        return result


def numbers(program: Program, place: int) -> tuple[int, ...]:
    """The shape recorded for an input."""
    holders = [node for node in program.graphs["eval"].nodes if node.op == "placeholder"]
    return tuple(holders[place].meta["shape"])


def text_for(batch: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.arange(batch * (4 + seed % 3)).view(batch, -1) * (seed + 7)
    return ids % 20, ids % 5


def test_targets_are_as_many_as_tokens() -> None:
    torch.manual_seed(0)
    model = Tagger().double()
    program = capture(model, text_for(3, 0))
    tokens, targets = (numbers(program, place) for place in (0, 1))
    assert tokens == targets
    assert tokens[0] != tokens[1]
    graph = scfx.ChannelGraph(program)
    assert not graph.report().troubles
    assert {axis.size for axis in graph.axes if axis.pinned is None} == {8, 6}
    check_exact(model, text_for)


def test_what_is_assumed_of_sizes_is_asked_of_each_call() -> None:
    model = Tagger()
    net = scfx.compress(model, text_for(3, 0), quantize=False).eval()
    ids, targets = text_for(4, 1)
    assert torch.allclose(net(ids, targets), model(ids, targets))
    with pytest.raises(InputError, match=r"holds where ids\.shape\[0\] == targets\.shape\[0\]"):
        net(ids, targets.reshape(2, -1))


def test_a_multiple_of_another_batch_stays_free() -> None:
    torch.manual_seed(0)
    model = Captions().double()
    example = torch.randn(4, 3, dtype=torch.double), torch.randn(2, 4, dtype=torch.double)
    program = capture(model, example)
    texts, images = (numbers(program, place)[0] for place in (0, 1))
    assert texts > images
    assert texts % images == 0
    net = scfx.compress(model, example, quantize=False).eval()
    assert {axis.size for axis in net.channels.axes if axis.pinned is None} == {6}
    for several in (1, 2, 3):
        call = torch.randn(3 * several, 3, dtype=torch.double), torch.randn(3, 4, dtype=torch.double)
        assert torch.allclose(net(*call), model(*call))


def test_the_parts_of_a_whole_add_up_though_each_depends_on_data() -> None:
    torch.manual_seed(0)
    model = Routed().double()
    graph = scfx.channel_graph(model, torch.randn(5, 4, dtype=torch.double))
    assert not graph.report().troubles
    assert {axis.size for axis in graph.axes if axis.pinned is None} == {6}
    check_exact(model, lambda batch, seed: (torch.randn(batch + 4, 4, generator=torch.Generator().manual_seed(seed)),))
