"""What a pass is: a small frozen value that rewrites a graph in place and says how much it changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import fx, nn


@dataclass(frozen=True)
class Pass(ABC):
    """A rewrite of one graph. Options are fields; a pass holds no state and may be used any number of times.

    Every pass is idempotent: run once more on its own result, it changes nothing and returns 0.
    """

    @property
    def name(self) -> str:
        """The name of the pass in counts and messages."""
        return type(self).__name__

    @abstractmethod
    def rewrite(self, graph: fx.Graph, root: nn.Module) -> int:
        """Rewrite `graph` (and what it fetches from `root`) in place and return the number of changes."""

    def __call__(self, graph: fx.Graph, root: nn.Module) -> int:
        """Rewrite `graph` in place, check that it is well formed, and return the number of changes."""
        changes = self.rewrite(graph, root)
        graph.lint()
        return changes
