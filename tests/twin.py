"""A compressed network beside the original module, which serves as its reference at full size."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

import scfx
from scfx.removal.plan import PrunePlan
from tests.comparison import compare, require_equal
from tests.full_size import Kept, gather, scatter
from tests.observation import Inputs, MakeInputs, Observation, observe, restore, state_of
from tests.rounding import Rounding

What = Literal["outputs", "gradients", "buffers", "step"]


@dataclass(frozen=True)
class Check:
    """How far a group of tensors was from the reference."""

    turn: int
    """The round of pruning before it, -1 for what comes before the first. Round 0 removes what was zero already."""
    training: bool
    what: What
    error: float


class IllConditionedError(AssertionError):
    """The reference differs from itself by more than the tolerance when its sums get other rounding errors."""


class Twin:
    """A compressed network beside the original module, which serves as its reference at full size."""

    def __init__(self, net: scfx.CompressedModule, original: nn.Module, inputs: MakeInputs, name: str) -> None:
        """Take over both modules: the original's parameters and buffers will change."""
        self.net, self.original, self.inputs, self.name = net, original, inputs, name
        self.full = state_of(original)
        self.kept: Kept = {n: tuple(torch.arange(s) for s in t.shape) for n, t in self.full.items()}
        self.checks: list[Check] = []
        self.turn = -1
        self.plans: list[PrunePlan] = []

    def note(self) -> None:
        """Take the network's present values as the reference's."""
        for name, value in state_of(self.net).items():
            if name in self.full:
                scatter(self.full[name], self.kept[name], value)

    def is_defined(self, seed: int) -> bool:
        """Say whether the original has finite outputs and gradients with the present values."""
        restore(self.original, self.full)
        seen = observe(self.original, self.inputs(2, seed), True, seed)
        return all(bool(tensor.isfinite().all()) for tensor in (*seen.outputs.values(), *seen.gradients.values()))

    def prune(self, optimizer: torch.optim.Optimizer | None) -> float:
        """Prune the network, remember which indices of every tensor are left, and return the processor time it took."""
        identities = {name: id(parameter) for name, parameter in self.net.named_parameters()}
        start = time.process_time()
        report = self.net.prune(optimizer)
        seconds = time.process_time() - start
        self.turn += 1
        assert str(report).strip(), f"{self.name}: the report of prune() prints as nothing"
        self.plans.append(report.plan)
        for name, dims in report.plan.kept.items():
            if name in self.kept:
                self.kept[name] = tuple(
                    old if new is None else old[torch.as_tensor(new)]
                    for old, new in zip(self.kept[name], dims, strict=True)
                )
        for name, parameter in self.net.named_parameters():
            assert identities[name] == id(parameter), f"{self.name}: prune() replaced the parameter {name}"
            actual, expected = tuple(parameter.shape), tuple(map(len, self.kept[name]))
            assert actual == expected, f"{self.name}: {name} is {actual}, the plan says {expected}"
        return seconds

    def sliced(self, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the kept entries of tensors whose names end in that of a parameter or buffer, others as they are."""
        return {
            label: gather(tensor, self.kept[name]) if (name := label.rpartition(" ")[2]) in self.kept else tensor
            for label, tensor in found.items()
        }

    def compare(self, where: str, cases: Sequence[tuple[bool, int]], seed: int, tolerance: float) -> None:
        """Require equal outputs, gradients and buffers for each (train mode?, batch size); no value is left changed."""
        before = state_of(self.net)
        for training, batch in cases:
            inputs = self.inputs(batch, seed + batch)
            restore(self.original, self.full)
            expected = observe(self.original, inputs, training, seed)
            actual = observe(self.net, inputs, training, seed, expected.scale)
            case = f"{self.name}, {where}, {'train' if training else 'eval'} mode, batch {batch}"
            shared = {label: t for label, t in actual.buffers.items() if label in expected.buffers}
            try:
                self.require("outputs", training, actual.outputs, expected.outputs, case, tolerance)
                self.require("gradients", training, actual.gradients, expected.gradients, case, tolerance)
                self.require("buffers", training, shared, expected.buffers, case, tolerance)
            except AssertionError as error:
                self.blame_rounding(error, expected, inputs, training, seed, tolerance)
                raise
            restore(self.net, before)

    def require(
        self,
        what: What,
        training: bool,
        actual: Mapping[str, Tensor],
        full: Mapping[str, Tensor],
        case: str,
        tolerance: float,
    ) -> None:
        """Require that tensors equal the kept entries of those at full size, and note how far they are from them."""
        error = require_equal(actual, self.sliced(full), case, tolerance)
        self.checks.append(Check(self.turn, training, what, error))

    def blame_rounding(
        self, error: AssertionError, expected: Observation, inputs: Inputs, training: bool, seed: int, tolerance: float
    ) -> None:
        """Raise IllConditionedError if rounding errors alone move the reference by more than the tolerance.

        Where a value that is zero but for rounding meets a kink, as in relu(x - mean(x)) of a constant x, the slope is
        a matter of the last bit, and no two ways of computing the network agree.
        """
        restore(self.original, self.full)
        with Rounding():
            other = observe(self.original, inputs, training, seed, expected.scale)
        moved = compare({**other.outputs, **other.gradients}, {**expected.outputs, **expected.gradients})
        if moved and not moved[0].error <= tolerance:
            raise IllConditionedError(f"{error}\nBut rounding alone moves {moved[0].name} by {moved[0].error:.3g}")

    def step(
        self,
        optimizer: torch.optim.Optimizer,
        reference: torch.optim.Optimizer,
        unpruned: Mapping[str, Any],
        where: str,
        tolerance: float,
    ) -> None:
        """Require that one training step moves the kept entries as it moves those of the reference.

        Args:
            optimizer: the network's optimizer, as pruning has left it. It takes the step.
            reference: a fresh optimizer of the same kind over the original's parameters.
            unpruned: the first optimizer's state by parameter name at full size, from `full_state` before pruning.
            where: description of the case for messages.
            tolerance: largest accepted relative error.
        """
        inputs = self.inputs(2, 99)
        restore(self.original, self.full)
        seen = observe(self.original, inputs, True, 99)
        observe(self.net, inputs, True, 99, seen.scale)
        named = dict(self.original.named_parameters())
        for name, parameter in named.items():
            if name in unpruned:
                reference.state[parameter] = unpruned[name]
        for gradient, other in ((p.grad, named[n]) for n, p in self.net.named_parameters()):
            if gradient is None:  # an optimizer skips such a parameter, weight decay included
                other.grad = None
        reference.step()
        optimizer.step()
        expected = {f"value after the step of {n}": t for n, t in state_of(self.original).items()}
        values = state_of(self.net)
        actual = {f"value after the step of {n}": values[n] for n in self.full if n in values}
        shared = {label: tensor for label, tensor in expected.items() if label in actual}
        try:
            self.require("step", True, actual, shared, f"{self.name}, {where}", tolerance)
        except AssertionError as error:
            self.blame_rounding(error, seen, inputs, True, 99, tolerance)
            raise

    def full_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Return copies of the optimizer's state by parameter name, tensors of a parameter's shape at full size."""
        states: dict[str, Any] = {}
        for name, parameter in self.net.named_parameters():
            if parameter in optimizer.state:
                states[name] = {key: self._full(name, value) for key, value in optimizer.state[parameter].items()}
        return states

    def _full(self, name: str, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if value.dim() == 0 and self.full[name].dim() > 0:
            return value.clone()
        return scatter(torch.zeros_like(self.full[name]), self.kept[name], value)
