"""What a run found out about one model, and the file that remembers it."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / ".zoo"
"""Where results are remembered between runs; git ignores it."""


@dataclasses.dataclass
class Loss:
    """What is not prunable for one reason.

    Attributes:
        reason: Why.
        axes, channels: How many axes are pinned for it, and how many channels they have together.
        share: The part of the model's dims that is lost to it.
    """

    reason: str
    axes: int
    channels: int
    share: float


@dataclasses.dataclass
class Trouble:
    """An operator that has no rule, or whose rule did not fit."""

    target: str
    reason: str
    calls: int


@dataclasses.dataclass
class Result:
    """What is known of a model so far. A run that is stopped leaves what it had found until then.

    Attributes:
        name: The model.
        date: The day of the run.
        stage: What the run was doing last: "build", "capture", "analysis", "exactness" or "done".
        failure: Why it did not get further, in words; empty where it did.
        parameters: Number of parameter entries.
        capture_s, analyse_ms, prune_ms: Processor time of one core; pruning is that of the first round in which
            anything was zeroed, optimizer and all.
        share: Mean prunable share of the dims, as in the library's report.
        losses: What is not prunable, by reason, the largest share first.
        troubles: Operators without a rule that fits.
        errors: Worst relative error: of outputs in "eval" and "train" mode, of "gradients", and of everything after the
            "second" pruning.
        left: The share of the weights that was left in the end.
    """

    name: str
    date: str = ""
    stage: str = "build"
    failure: str = ""
    parameters: int = 0
    capture_s: float | None = None
    analyse_ms: float | None = None
    prune_ms: float | None = None
    share: float | None = None
    losses: list[Loss] = dataclasses.field(default_factory=list)
    troubles: list[Trouble] = dataclasses.field(default_factory=list)
    errors: dict[str, float] = dataclasses.field(default_factory=dict)
    left: float | None = None

    @property
    def captured(self) -> bool:
        """Whether both modes were captured."""
        return self.capture_s is not None

    @property
    def exact(self) -> bool:
        """Whether pruning changed nothing."""
        return self.stage == "done" and not self.failure

    def save(self, path: Path) -> None:
        """Write the result down, all of it or nothing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(dataclasses.asdict(self), indent=1))
        os.replace(draft, path)

    @staticmethod
    def load(path: Path) -> "Result":
        """Read a result that `save` has written."""
        values: dict[str, Any] = json.loads(path.read_text())
        values["losses"] = [Loss(**loss) for loss in values["losses"]]
        values["troubles"] = [Trouble(**trouble) for trouble in values["troubles"]]
        return Result(**values)


def path_of(name: str, folder: Path = FOLDER) -> Path:
    """Return the file that remembers a model's result."""
    return folder / f"{name}.json"


def remembered(folder: Path = FOLDER) -> dict[str, Result]:
    """Return all results that are remembered, by the name of the model."""
    found = (Result.load(path) for path in sorted(folder.glob("*/*.json")))
    return {result.name: result for result in found}
