"""Prunes many random networks and compares each with the original: `make fuzz N=1000 SEED=7`.

Each network is drawn with a seed of its own, so that a failure can be seen again: `make fuzz N=1 SEED=...`. A failure
is shrunk at once and does not end the run. At the end stand what was covered and the smallest failing program.
"""

import argparse
import copy
import multiprocessing
import random
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor

import scfx
from scfx.capture.variations import other_sizes
from scfx.removal.plan import PrunePlan
from tests.comparison import NotFiniteError, require_equal
from tests.coverage import Coverage
from tests.networks import OPERATIONS, Draft, Network, draft
from tests.observation import float_outputs, restore, state_of
from tests.oracle import Outcome, check_exact
from tests.shrinking import shrink
from tests.twin import IllConditionedError
from tests.zeroing import Variant, zero_channels

TRIALS = 5
"""How often a network is pruned, each time with other zeros."""

SHRINKING = 60.0
"""For how many seconds a failure may be shrunk."""


@dataclass(frozen=True)
class Failure:
    """A program on which pruning went wrong, and how to see it again."""

    network: Network
    seed: int
    error: str

    def __str__(self) -> str:
        return f"{self.network!r}\n# seed {self.seed}:\n{self.error}"


def check(network: Network, seed: int, trials: int = TRIALS) -> Iterator[Outcome]:
    """Require that pruning a network changes nothing, in several trials, because capturing takes most of the time.

    With an odd seed residual branches have channels of their own, wherever they can.
    """
    model, example = network.build(seed), network.example()
    captured = scfx.compress(model, example, quantize=False, branches=seed % 2 == 1)
    inputs = of_any_size(network, captured)
    absorbed = check_constants(copy.deepcopy(captured), inputs, seed)
    for trial in range(trials):
        net = copy.deepcopy(captured)
        with patch("scfx.removal.worth.ADDING", 0):
            outcome = check_exact(
                copy.deepcopy(model),
                inputs,
                net=net,
                name="random network",
                seed=seed + trial,
                rounds=2,
                thorough=False,
                everything_first=trial == 0,
            )
        outcome.plans += [absorbed] if trial == 0 else []
        yield outcome
        check_final(net.eval(), example)


def of_any_size(network: Network, net: scfx.CompressedModule) -> Callable[[int, int], tuple[Tensor, ...]]:
    """Return what makes inputs of a batch size from a seed: from odd ones of other sizes than those captured.

    Where the network holds for no others, all are of those.
    """
    example = network.example()
    found = other_sizes(net._program.call, example, {})
    shapes = [tuple(leaf.shape[1:]) for leaf in (example if found is None else found[0])]
    return lambda batch, seed: network.example(batch, seed, shapes if seed % 2 else None)


def check_constants(
    net: scfx.CompressedModule, inputs: Callable[[int, int], tuple[Tensor, ...]], seed: int
) -> PrunePlan:
    """Require that outputs stay as they are in both modes when what a layer can take over goes; return what went."""
    ways: tuple[Variant, ...] = ("weights", "partly")
    zero_channels(net, net.channels, random.Random(seed), variants=ways, whole_axes=False)
    expected = outputs_of(net, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a graph that fails on random numbers has no constants
        plan = net.prune(constants=True).plan
    require_equal(outputs_of(net, inputs), expected, "random network, constants absorbed")
    return plan


def outputs_of(net: scfx.CompressedModule, inputs: Callable[[int, int], tuple[Tensor, ...]]) -> dict[str, Tensor]:
    """Return all outputs in both modes for inputs of two sizes. What running changes is put back."""
    state = state_of(net)
    found: dict[str, Tensor] = {}
    for training in (False, True):
        for batch, seed in ((2, 0), (3, 1)):
            with torch.no_grad():
                made = float_outputs(net.train(training)(*inputs(batch, seed)))
            found |= {f"output {n}, train {training}, batch {batch}": output for n, output in enumerate(made)}
            restore(net, state)
    return found


def check_final(net: scfx.CompressedModule, example: tuple[Tensor, ...]) -> None:
    """Require that the plain module at the end computes what the network computes."""
    with torch.no_grad():
        expected, actual = (float_outputs(module(*example)) for module in (net, net.finalize()))
    names = [f"output {index}" for index in range(len(expected))]
    require_equal(
        dict(zip(names, actual, strict=True)), dict(zip(names, expected, strict=True)), "random network, finalized"
    )


def attempt(network: Network, seed: int, coverage: Coverage) -> Exception | None:
    """Return what went wrong with a network, if anything did; count it in the coverage."""
    try:
        coverage.add(*check(network, seed))
    except (NotFiniteError, IllConditionedError) as error:
        coverage.rejected[type(error).__name__] += 1
    except Exception as error:
        return error
    return None


def minimise(first: Draft, error: Exception, seed: int) -> Failure:
    """Shrink a failing draft to a program that fails with an error of the same type."""

    def fails(other: Draft) -> bool:
        return type(attempt(other.write(), seed, Coverage())) is type(error)

    network = shrink(first, fails, SHRINKING).write()
    last = attempt(network, seed, Coverage()) or error
    return Failure(network, seed, "".join(traceback.format_exception(last, limit=-6)))


def examine(seed: int, most: int, favourites: tuple[str, ...] = ()) -> tuple[Coverage, Failure | None]:
    """Draw one network, check it, and shrink it where it fails."""
    coverage = Coverage()
    drawn = draft(random.Random(seed).choice, most, favourites)
    error = attempt(drawn.write(), seed, coverage)
    return coverage, minimise(drawn, error, seed) if error else None


def main() -> int:
    """Run as a program; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("number", nargs="?", type=int, default=1000, help="how many networks to draw")
    parser.add_argument("--seed", type=int, default=None, help="the first network's seed; without it, any")
    parser.add_argument("--most", type=int, default=14, help="the largest number of operations of a network")
    parser.add_argument("--favour", nargs="+", default=(), choices=OPERATIONS, help="operations to draw more often")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes share the work")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after that long")
    options = parser.parse_args()
    start = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    coverage, failures, began = Coverage(), list[Failure](), time.monotonic()
    print(f"{options.number} networks from seed {start}", flush=True)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        seeds = range(start, start + options.number)
        results = pool.imap_unordered(partial(examine, most=options.most, favourites=tuple(options.favour)), seeds)
        for number, (covered, failure) in enumerate(results, 1):
            coverage.merge(covered)
            if failure is not None:
                failures.append(failure)
                print(f"{failure}\n", flush=True)
            if number % 20 == 0:
                print(f"{number} of {options.number} networks, {len(failures)} failures", flush=True)
            if time.monotonic() - began > options.seconds:
                break
    coverage.seconds = time.monotonic() - began
    print("\n".join(coverage.lines()))
    if failures:
        smallest = min(failures, key=lambda failure: len(failure.network.source))
        named = ", ".join(str(failure.seed) for failure in failures)
        print(f"\n{len(failures)} failures, seeds {named}; the smallest program:\n{smallest}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
