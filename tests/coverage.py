"""What a run over random networks covered: networks, operators, and what pruning rewrote."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.oracle import Outcome


@dataclass
class Coverage:
    """Counts over many networks."""

    networks: int = 0
    """Networks that were compared."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Networks of which nothing can be said, by reason."""
    operators: Counter[str] = field(default_factory=Counter)
    """In how many networks each operator stood."""
    rewrites: Counter[str] = field(default_factory=Counter)
    """How many channels were removed, arguments resized and operators replaced."""
    resized: Counter[str] = field(default_factory=Counter)
    """How often each operator's arguments were resized, or the operator replaced by its counted form."""
    seconds: float = 0.0

    def add(self, *trials: Outcome) -> None:
        """Count a network that passed one or more trials."""
        self.networks += 1
        self.operators.update(trials[0].operators)
        for plan in (plan for outcome in trials for plan in outcome.plans):
            self.rewrites["channels removed"] += sum(before - after for _, before, after in plan.channels)
            self.rewrites["tensors sliced"] += len(plan.kept)
            self.rewrites["constants absorbed"] += len(plan.absorbed)
            for edits in plan.edits.values():
                for edit in edits.values():
                    self.rewrites["arguments resized"] += len(edit.arguments)
                    self.rewrites["operators replaced"] += edit.target is not None
                    self.resized[edit.target or ", ".join(edit.arguments)] += 1

    def merge(self, other: "Coverage") -> None:
        """Add the counts of another run."""
        self.networks += other.networks
        for mine, more in (
            (self.rejected, other.rejected),
            (self.operators, other.operators),
            (self.rewrites, other.rewrites),
            (self.resized, other.resized),
        ):
            mine.update(more)

    def lines(self) -> Iterator[str]:
        """Yield the summary, line by line."""
        yield f"{self.networks} networks compared in {self.seconds:.0f} s"
        for reason, count in self.rejected.items():
            yield f"{count} networks say nothing: {reason}"
        yield "rewrites: " + ", ".join(f"{count} {name}" for name, count in self.rewrites.items())
        yield from ("  " + ", ".join(row) for row in _rows(self.resized))
        yield f"{len(self.operators)} operators, with the number of networks each was in:"
        yield from ("  " + ", ".join(row) for row in _rows(self.operators))


def _rows(counter: Counter[str], length: int = 4) -> Iterator[list[str]]:
    words = [f"{name} {count}" for name, count in counter.most_common()]
    for start in range(0, len(words), length):
        yield words[start : start + length]
