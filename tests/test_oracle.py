"""The oracle is tested by planting mistakes that it must see."""

import copy
import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import scfx.surgery.optimizers
from scfx import ScfxError
from scfx.signatures import override
from tests.comparison import NotFiniteError, compare, relative_error, require_equal
from tests.double import DoublePrecision
from tests.full_size import gather, scatter
from tests.observation import observe, resize_batch
from tests.oracle import check_exact
from tests.planted import PLANTED, Planted
from tests.planted_sequences import PLANTED_SEQUENCES, PlantedSequence, Tokens
from tests.twin import IllConditionedError


def test_relative_error() -> None:
    x = torch.tensor([1.0, -4.0], dtype=torch.float64)
    assert relative_error(x, x.clone()) == 0
    assert relative_error(x + 1e-3, x) == pytest.approx(0.25e-3)
    assert relative_error(torch.zeros(0), torch.zeros(0)) == 0
    assert relative_error(torch.tensor([1e-12]), torch.tensor([0.0]), floor=1e-3) == pytest.approx(1e-9)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (torch.tensor([math.nan]), torch.tensor([math.nan])),
        (torch.tensor([math.inf]), torch.tensor([math.inf])),
        (torch.tensor([math.nan]), torch.tensor([1.0])),
        (torch.tensor([1e-30]), torch.tensor([0.0])),
        (torch.zeros(2), torch.zeros(3)),
        (torch.zeros(1), torch.zeros(())),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.tensor([1]), torch.tensor([2])),
    ],
)
def test_what_no_tolerance_accepts(actual: Tensor, expected: Tensor) -> None:
    assert relative_error(actual, expected) == math.inf


def test_compare_reports_the_worst_first_and_missing_names() -> None:
    expected = {"a": torch.ones(3), "b": torch.ones(3), "c": torch.ones(3)}
    actual = {"a": torch.ones(3) * 1.1, "b": torch.ones(3) * 1.2, "d": torch.ones(3)}
    found = compare(actual, expected)
    assert [difference.name.split()[0] for difference in found] == ["c", "d", "b", "a"]
    assert "b differs from the reference, relative error 0.2" in str(found[2])
    with pytest.raises(AssertionError, match=r"case\nc .on one side only. differs"):
        require_equal(actual, expected, "case")


def test_compare_refuses_a_useless_reference_or_tolerance() -> None:
    with pytest.raises(NotFiniteError, match="reference of a"):
        compare({"a": torch.ones(1)}, {"a": torch.tensor([math.nan])})
    for tolerance in (1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="accept anything"):
            require_equal({}, {}, "case", tolerance)


def test_scatter_undoes_gather() -> None:
    full = torch.arange(2 * 5 * 3 * 4.0).view(2, 5, 3, 4)
    kept = (torch.arange(2), torch.tensor([0, 2, 3]), torch.arange(3), torch.tensor([1, 3]))
    part = gather(full, kept)
    assert part.shape == (2, 3, 3, 2)
    changed = scatter(full.clone(), kept, part + 100)
    assert torch.equal(gather(changed, kept), part + 100)
    assert int((changed != full).sum()) == part.numel()


@functools.cache
def captured(planted: Planted) -> scfx.CompressedModule:
    """Capture a network once: a rule only counts where its copies are analysed."""
    return scfx.compress(planted.build(), planted.example(), quantize=False)


def check(planted: Planted, seeds: Iterable[int]) -> None:
    for seed in seeds:
        net = copy.deepcopy(captured(planted))
        check_exact(planted.build(), planted.example(), net=net, seed=seed, thorough=False)


@pytest.mark.parametrize("planted", PLANTED + PLANTED_SEQUENCES, ids=lambda planted: planted.name)
def test_a_planted_wrong_rule_is_caught(planted: Planted) -> None:
    """The same networks and zeros pass with the right rule, see below."""
    with (
        override(planted.target, planted.record),
        pytest.raises((AssertionError, RuntimeError, LookupError, ScfxError)) as caught,
    ):
        check(planted, range(9))
    assert not isinstance(caught.value, IllConditionedError)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_the_right_rule_passes(planted: Planted) -> None:
    check(planted, range(2))


def test_the_right_rules_pass_on_sequences() -> None:
    """All that is planted for, in one network, since capturing takes the time."""

    def use(net: Tokens, x: Tensor) -> Tensor:
        return torch.stack([planted.use(net, x) + x for planted in PLANTED_SEQUENCES]).sum(0)

    check(PlantedSequence("", "", PLANTED[0].record, use=use), range(1))


def test_an_optimizer_whose_state_is_not_sliced_right_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = scfx.surgery.optimizers.slice_optimizer

    def wrong(optimizer: torch.optim.Optimizer, kept: Any) -> None:
        right(optimizer, kept)
        for state in optimizer.state.values():
            for key, value in state.items():
                if isinstance(value, Tensor) and value.dim():
                    state[key] = value.flip(0)

    monkeypatch.setattr("scfx.surgery.pruning.slice_optimizer", wrong)
    with pytest.raises(AssertionError, match="value after the step"):
        check(PLANTED[1], [0, 1])


@dataclass
class Scored:
    """An output that pytree does not know."""

    score: Tensor
    nothing: None = None


class Keywords(nn.Module):
    """Integer and nested inputs, a dataclass for an answer, a layer norm in single precision."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 6)
        self.hidden = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 2)

    def forward(self, *, ids: Tensor, extra: dict[str, Tensor]) -> Scored:
        y = self.norm(torch.relu(self.hidden(self.embedding(ids) + extra["bias"])).float()).to(torch.float32)
        return Scored(self.head(y))


def keywords(batch: int, seed: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    bias = torch.randn(batch, 3, 6, generator=generator, dtype=torch.float64)
    return {"ids": torch.randint(7, (batch, 3), generator=generator), "extra": {"bias": bias}}


@pytest.mark.parametrize("example", [keywords, keywords(2, 0)], ids=["made", "given"])
def test_keywords_integers_and_dataclasses(example: Any) -> None:
    model = Keywords().double()
    outcome = check_exact(model, example, seed=1, everything_first=True, thorough=False)
    assert outcome.removed > 0
    assert {check.what for check in outcome.checks} == {"outputs", "gradients", "buffers", "step"}
    assert {check.turn for check in outcome.checks} == {-1, 0, 1, 2, 3}
    with DoublePrecision():
        assert observe(model, keywords(2, 0), False, 0).outputs.keys() == {"output 0"}


def test_integers_keep_their_meaning() -> None:
    ids, scale, number = torch.tensor([[1], [2]]), torch.ones(2, 3, dtype=torch.float64), 4
    resized = resize_batch({"a": [ids, number], "b": scale}, 3, seed=0)
    assert isinstance(resized, dict)
    assert resized["a"][0].tolist() == [[1], [2], [1]]
    assert resized["a"][1] == number
    assert resized["b"].shape == (3, 3)
    assert not torch.equal(resized["b"][:2], scale)


def test_double_precision() -> None:
    half = torch.zeros(1, dtype=torch.float16)
    with DoublePrecision():
        wide = [half.float(), half.to(torch.float32), torch.ones(1), torch.softmax(half, 0, dtype=torch.float32)]
        assert {tensor.dtype for tensor in wide} == {torch.float64}
        assert (half + 1).dtype == torch.float16
    assert half.float().dtype == torch.ones(1).dtype == torch.float32


class Direction(nn.Module):
    """Weight norm, which is not defined where a filter is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.utils.parametrizations.weight_norm(nn.Linear(4, 12))
        self.last = nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(torch.relu(self.first(x)))
        return y


def test_what_zeros_would_make_undefined_is_pruned_by_its_readers() -> None:
    example = (torch.randn(2, 4, dtype=torch.float64),)
    outcome = check_exact(Direction().double(), example, everything_first=True, rounds=2)
    assert outcome.removed > 0
    assert {zeroed.variant for turn in outcome.zeroed for zeroed in turn} == {"consumers"}
