"""The one property of every record: slicing commutes with its operator.

Zeros are planted at random in the operands of a sample. Wherever the record then says that channels can go, the
operator is run on the full and on the sliced operands, with the size arguments that the record asks for: results,
gradients and whatever the operator writes in place must agree. Where the record says that a result is zero, it must be
zero, and where it says that it is fixed, the same for operands that differ elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from scfx.signatures.call import Dims
from scfx.terms.dims import Var, variables
from scfx.terms.facts import Mask, Zeros
from tests.comparison import relative_error
from tests.signatures.case import Case, case_of, mask_of, parts, sliced
from tests.signatures.fixing import NotFixedError, check_fixed
from tests.signatures.samples import Sample, is_symbolic

ROUNDS = 8
FIXED_ROUNDS = 3
TOLERANCE = 1e-10


class WrongRuleError(AssertionError):
    """A record says something of its operator that isn't so."""


@dataclass
class Evidence:
    """What the rounds of one sample covered, so that a test that compared nothing is no success.

    Attributes:
        removed: The axes that lost channels in some round.
        zeros: The number of results that were said to be zero somewhere, with some operand not zero altogether.
    """

    removed: set[Var] = field(default_factory=set)
    zeros: int = 0


def check(sample: Sample, rounds: int = ROUNDS) -> Evidence:
    """Checks a record on one of its samples.

    Raises:
        WrongRuleError: with what differs, and the round to repeat.
    """
    case = case_of(sample)
    if case.inference.troubles:
        raise WrongRuleError(f"{sample}: {case.inference.troubles[0].reason}")
    evidence = Evidence()
    for turn in range(rounds):
        try:
            _round(case, random.Random(turn), evidence, turn)
        except WrongRuleError as error:
            raise WrongRuleError(f"{sample}, round {turn}: {error}") from None
    unseen = [axis for axis in case.axes if axis not in evidence.removed and axis.size > 1]
    if unseen:
        raise WrongRuleError(f"{sample}: no channel of {unseen} was ever removable, so that nothing was compared")
    return evidence


def _round(case: Case, rng: random.Random, evidence: Evidence, turn: int) -> None:
    generator = torch.Generator().manual_seed(turn)
    tensors = {name: operand.draw(generator) for name, operand in case.operands.items()}
    wanted = {axis: _some(axis.size, rng) for axis in case.axes}
    share = {0: 1.0, 1: 0.0}.get(turn, 0.5)  # zeros wherever channels are wanted gone, no zeros at all, then a mixture
    for name, tensor in tensors.items():
        _plant(case, name, tensor, wanted, rng, share)
    if turn < FIXED_ROUNDS:
        try:
            check_fixed(case, turn)
        except NotFixedError as error:
            raise WrongRuleError(str(error)) from error
    found = case.zeros(tensors)
    results = case.run(_copies(tensors))
    name = str(case.sample.target)
    deterministic = torch.Tag.nondeterministic_seeded not in case.sample.target.tags and "empty" not in name
    for index, (result, zeros) in enumerate(zip(results, found, strict=True)):
        _check_zeros(result, zeros, f"result {index}")
        evidence.zeros += any(fact.flat() is not None for fact in zeros.dims if not is_symbolic(fact.size))
    kept = {axis: ~(mask & wanted[axis]) for axis, mask in case.removable(tensors, wanted).items()}
    kept = {axis: mask for axis, mask in kept.items() if not mask.all() and mask.any()}
    evidence.removed.update(kept)
    _compare(case, tensors, kept, generator, deterministic)


def _some(size: int, rng: random.Random) -> Mask:
    """A few of so many channels, but never all of them."""
    mask = np.zeros(size, bool)
    mask[rng.sample(range(size), rng.randint(min(1, size - 1), max(size - 1, 0)))] = True
    return mask


def _plant(case: Case, name: str, tensor: Tensor, wanted: Mapping[Var, Mask], rng: random.Random, share: float) -> None:
    """Makes an operand zero along some of its dims, mostly where channels are wanted gone."""
    if case.operands[name].kind in ("index", "places", "stripes", "definite"):
        return
    mixed = share not in (0.0, 1.0)
    for index, dim in enumerate(case.inference.state[name]):
        for axis in dict.fromkeys(variables(dim)):
            if axis in wanted and rng.random() < share:
                _clear(tensor, index, ~mask_of(dim, {axis: ~wanted[axis]}))
        if mixed and rng.random() < 0.3 and tensor.shape[index]:
            _clear(tensor, index, _some(tensor.shape[index], rng))
    if mixed and rng.random() < 0.1:
        tensor.zero_()


def _clear(tensor: Tensor, dim: int, mask: Mask) -> None:
    tensor.index_fill_(dim, torch.from_numpy(np.flatnonzero(mask)), 0)


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _check_zeros(result: Tensor, zeros: Zeros, where: str) -> None:
    something = (result != 0) & ~result.isnan()  # what is undefined, as 0 / 0 is, may be said to be zero
    if zeros.whole and something.any():
        raise WrongRuleError(f"{where} is said to be zero, and isn't")
    for index, fact in enumerate(zeros.dims):
        mask = None if is_symbolic(fact.size) else fact.flat()
        if mask is not None and something.index_select(index, torch.from_numpy(np.flatnonzero(mask))).any():
            raise WrongRuleError(f"{where} is said to be zero at {np.flatnonzero(mask)} of dim {index}, and isn't")


def _compare(
    case: Case, tensors: Mapping[str, Tensor], kept: Mapping[Var, Mask], generator: torch.Generator, deterministic: bool
) -> None:
    def kept_of(dim: object) -> Mask:
        return mask_of(dim, kept)  # type: ignore[arg-type]

    change = case.step.record.resize(case.step.call, kept_of)
    state = case.inference.state
    full = _copies(tensors)
    small = {name: sliced(tensor, state[name], kept) for name, tensor in full.items()}
    for name, operand in case.operands.items():
        for tensor in (full[name], small[name]):
            tensor.requires_grad_(operand.kind in ("float", "complex"))
    results = case.run(full)
    try:
        fewer = case.run(small, change)
    except RuntimeError as error:
        raise WrongRuleError(f"the operator fails when {_gone(kept)} go, with {change}: {error}") from error
    for index, (x, y, dims) in enumerate(zip(results, fewer, case.results, strict=True)):
        expected = sliced(x, dims, kept)
        if expected.shape != y.shape or (deterministic and not _agree(y, expected)):
            raise WrongRuleError(f"result {index} changes when {_gone(kept)} go, with {change}: {expected} becomes {y}")
    for name, operand in case.operands.items():
        expected = sliced(full[name], state[name], kept)
        if operand.kind == "statistic" and not _agree(small[name], expected):
            raise WrongRuleError(
                f"what is written to {name} changes when {_gone(kept)} go: {expected} becomes {small[name]}"
            )
    if not deterministic or not all(map(_differentiable, results)):
        return
    grads = [
        _gradients(values, weights, operands)
        for values, weights, operands in _backward(results, fewer, case.results, kept, generator, full, small)
    ]
    for name in grads[0]:
        expected = sliced(grads[0][name], state[name], kept)
        defined = bool(grads[0][name].isfinite().all())  # the gradient of 0 ** y is not
        if defined and not _agree(grads[1][name], expected):
            raise WrongRuleError(
                f"the gradient of {name} changes when {_gone(kept)} go: {expected} becomes {grads[1][name]}"
            )


def _backward(
    results: tuple[Tensor, ...],
    fewer: tuple[Tensor, ...],
    dims: tuple[Dims, ...],
    kept: Mapping[Var, Mask],
    generator: torch.Generator,
    full: Mapping[str, Tensor],
    small: Mapping[str, Tensor],
) -> Iterator[tuple[tuple[Tensor, ...], list[Tensor], Mapping[str, Tensor]]]:
    """Both runs with one random cotangent, which is zero where channels go: nobody reads them."""
    weights = []
    for result, group in zip(results, dims, strict=True):
        weight = torch.randn(result.shape, generator=generator, dtype=torch.float64)
        for index, dim in enumerate(group):
            _clear(weight, index, ~mask_of(dim, kept))
        weights.append(weight)
    yield results, weights, full
    yield fewer, [sliced(weight, group, kept) for weight, group in zip(weights, dims, strict=True)], small


def _gradients(results: tuple[Tensor, ...], weights: list[Tensor], operands: Mapping[str, Tensor]) -> dict[str, Tensor]:
    pairs = [(r, w) for r, w in zip(results, weights, strict=True) if r.requires_grad]
    leaves = {name: tensor for name, tensor in operands.items() if tensor.requires_grad}
    if not pairs:
        return {}
    outputs, cotangents = [result for result, _ in pairs], [weight for _, weight in pairs]
    found = torch.autograd.grad(outputs, list(leaves.values()), cotangents, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def _differentiable(result: Tensor) -> bool:
    """Whether there is a gradient to compare: it exists, and the operator is defined where it was evaluated."""
    return type(result.grad_fn).__name__ != "NotImplemented" and bool(result.isfinite().all())


def _agree(actual: Tensor, expected: Tensor) -> bool:
    actual, expected = parts(actual), parts(expected)
    if actual.is_floating_point():
        actual, expected = actual.nan_to_num(), expected.nan_to_num()
        return relative_error(actual, expected, floor=1e-3) <= (TOLERANCE if actual.dtype == torch.float64 else 1e-5)
    return actual.shape == expected.shape and bool((actual == expected).all())


def _gone(kept: Mapping[Var, Mask]) -> str:
    return ", ".join(f"{np.flatnonzero(~mask)} of {axis}" for axis, mask in kept.items()) or "nothing"
