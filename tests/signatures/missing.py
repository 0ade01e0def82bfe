"""Lists what rules leave pinned though slicing would commute: `python -m tests.signatures.missing`. It is no error.

Each axis that a record pins in a sample loses some channels all the same, with arguments unchanged: once as it is, in
case it is pointwise, and once with zeros planted there, in case it is a contraction.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from scfx.signatures import FAMILIES
from scfx.terms.dims import Var, variables
from scfx.terms.facts import Mask
from tests.comparison import relative_error
from tests.signatures.case import Case, case_of, mask_of, sliced
from tests.signatures.samples import Sample, is_symbolic, samples_of


def missing(sample: Sample) -> Iterator[str]:
    """What the record of a sample pins and need not."""
    if torch.Tag.nondeterministic_seeded in sample.target.tags or "empty" in str(sample.target):
        return
    case = case_of(sample)
    pinned = dict.fromkeys(
        (name, index, axis)
        for name, dims in case.inference.state.items()
        for index, dim in enumerate(dims)
        for axis in variables(dim)
        if axis.pin is not None and not is_symbolic(axis.size)
    )
    for name, index, axis in pinned:
        for kind in ("pointwise", "contract"):
            if all(_commutes(case, axis, kind == "contract", turn) for turn in range(4)):
                yield f"{sample}: dim {index} of {name} is pinned ({axis.pin}), but looks like {kind}"
                break


def _commutes(case: Case, axis: Var, plant: bool, turn: int) -> bool:
    rng = random.Random(turn)
    generator = torch.Generator().manual_seed(turn)
    kept = {axis: np.array([rng.random() < 0.5 for _ in range(axis.size)])}
    kept[axis][rng.sample(range(axis.size), 2)] = [True, False]
    tensors = {name: operand.draw(generator) for name, operand in case.operands.items()}
    if plant:
        for name, dims in case.inference.state.items():
            for index, dim in enumerate(dims):
                gone = torch.from_numpy(np.flatnonzero(~mask_of(dim, kept)))
                if case.operands[name].kind == "float":
                    tensors[name].index_fill_(index, gone, 0)
    full = case.run({name: tensor.clone() for name, tensor in tensors.items()})
    small = {name: sliced(tensor, case.inference.state[name], kept) for name, tensor in tensors.items()}
    try:
        fewer = case.run(small)
    except (RuntimeError, IndexError):
        return False
    return all(_is_part(y, x, kept[axis], not plant) for x, y in zip(full, fewer, strict=True))


def _is_part(part: Tensor, whole: Tensor, kept: Mask, must_shrink: bool) -> bool:
    """Whether a result is the whole one, or what stays of it along one of its dims."""
    if part.dim() != whole.dim() or part.numel() == 0:
        return False
    places = torch.from_numpy(np.flatnonzero(kept))
    candidates = [] if must_shrink else [whole]
    candidates += [whole.index_select(d, places) for d, size in enumerate(whole.shape) if size == len(kept)]
    return any(part.shape == other.shape and relative_error(part, other, floor=1e-3) < 1e-6 for other in candidates)


def every_missing() -> Iterator[str]:
    """What all records pin and need not, one line for each sample and dim."""
    records = itertools.chain.from_iterable(family.RECORDS for family in FAMILIES)
    for record in records:
        for sample in samples_of(record, record.samples):
            yield from missing(sample)


if __name__ == "__main__":
    print("\n".join(every_missing()))
