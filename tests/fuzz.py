"""Prunes many random networks and compares each with the original: `make fuzz N=1000 SEED=7`.

Each network is drawn with a seed of its own, so that a failure can be seen again: `make fuzz N=1 SEED=...`. A failure
is shrunk at once and does not end the run. At the end stand what was covered and the smallest failing program.
"""

import argparse
import random
import sys
import time
import traceback
from dataclasses import dataclass

from tests.comparison import NotFiniteError
from tests.coverage import Coverage
from tests.networks import Draft, Network, draft
from tests.oracle import Outcome, check_exact
from tests.shrinking import shrink
from tests.twin import IllConditionedError

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


def check(network: Network, seed: int) -> Outcome:
    """Require that pruning a network changes nothing."""
    return check_exact(
        network.build(seed), network.example(), name="random network", seed=seed, rounds=2, thorough=False
    )


def attempt(network: Network, seed: int, coverage: Coverage | None = None) -> Exception | None:
    """Return what went wrong with a network, if anything did; count it in the coverage."""
    try:
        outcome = check(network, seed)
    except (NotFiniteError, IllConditionedError) as error:
        if coverage is not None:
            coverage.rejected[type(error).__name__] += 1
    except Exception as error:
        return error
    else:
        if coverage is not None:
            coverage.add(outcome)
    return None


def minimise(first: Draft, error: Exception, seed: int) -> Failure:
    """Shrink a failing draft to a program that fails with an error of the same type."""

    def fails(other: Draft) -> bool:
        return type(attempt(other.write(), seed)) is type(error)

    network = shrink(first, fails, SHRINKING).write()
    last = attempt(network, seed) or error
    return Failure(network, seed, "".join(traceback.format_exception(last, limit=-6)))


def main() -> int:
    """Run as a program; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("number", nargs="?", type=int, default=1000, help="how many networks to draw")
    parser.add_argument("--seed", type=int, default=None, help="the first network's seed; without it, any")
    parser.add_argument("--most", type=int, default=14, help="the largest number of operations of a network")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="draw no network after that long")
    options = parser.parse_args()
    start = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    coverage, failures, began = Coverage(), list[Failure](), time.monotonic()
    for number in range(options.number):
        if time.monotonic() - began > options.seconds:
            break
        seed = start + number
        drawn = draft(random.Random(seed).choice, options.most)
        if error := attempt(drawn.write(), seed, coverage):
            print(f"seed {seed} fails: {str(error).strip().splitlines()[0]}", flush=True)
            failures.append(minimise(drawn, error, seed))
            print(failures[-1], flush=True)
        if number % 20 == 19:
            print(f"{number + 1} of {options.number} networks from seed {start}, {len(failures)} failures", flush=True)
    coverage.seconds = time.monotonic() - began
    print("\n".join(coverage.lines()))
    if failures:
        smallest = min(failures, key=lambda failure: len(failure.network.source))
        print(
            f"\n{len(failures)} failures, seeds {', '.join(str(failure.seed) for failure in failures)}; the smallest:"
        )
        print(smallest)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
