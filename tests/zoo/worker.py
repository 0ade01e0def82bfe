"""Find out everything about one model, in a process of its own: `python -m tests.zoo.worker NAME FILE GIGABYTES`.

After each stage the result is written to the file, so that whoever stops the process has what was found until then.
"""

import datetime
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

import scfx
from scfx.reporting.report import GraphReport
from tests.comparison import compare
from tests.double import DoublePrecision
from tests.observation import call, float_outputs, restore, state_of
from tests.oracle import Outcome, check_exact
from tests.twin import IllConditionedError
from tests.zoo.model import ZooModel
from tests.zoo.registry import find
from tests.zoo.result import Loss, Result, Trouble

T = TypeVar("T")

ATTEMPTS = 3
"""How many seeds are tried where rounding alone decides what comes out."""


def examine(model: ZooModel, result: Result, save: Callable[[Result], None]) -> None:
    """Fill in the result, stage by stage, and save it after each. What goes wrong ends it, with its cause."""
    try:
        module = model.settled()
        result.parameters = sum(p.numel() for p in module.parameters())
        require_no_randomness(module, model)
        result.stage = "capture"
        save(result)
        net, result.capture_s = timed(lambda: compressed(module, model, 0))
        result.stage = "analysis"
        save(result)
        analyse(net, result)
        result.stage = "exactness"
        save(result)
        record(prune(model, module, net), result)
        result.stage = "done"
    except Exception as error:  # whatever it is, it is what this run is to find out
        result.failure = f"{type(error).__name__}: {error}".strip()
    save(result)


def timed(what: Callable[[], T]) -> tuple[T, float]:
    """Return what a function returns and its processor time: other processes do not count."""
    start = time.process_time()
    return what(), time.process_time() - start


@DoublePrecision()
def compressed(module: nn.Module, model: ZooModel, seed: int) -> scfx.CompressedModule:
    """Return what becomes of a module without quantizers."""
    return scfx.compress(module, model.inputs(2, seed), quantize=False)


@DoublePrecision()
def require_no_randomness(module: nn.Module, model: ZooModel) -> None:
    """Require that the model is one function in train mode. Random masks depend on the number of channels."""
    seen = []
    state = state_of(module)
    for seed in (0, 1):
        torch.manual_seed(seed)
        with torch.no_grad():
            outputs = float_outputs(call(module.train(), model.inputs(2, 0)))
        restore(module, state)
        seen.append({str(position): output for position, output in enumerate(outputs)})
    if not seen[0]:
        raise ValueError("the model returns no floating-point tensor")
    if compare(*seen)[0].error > 1e-12:
        raise ValueError("the model draws random numbers in train mode: its dropout is not off")


def analyse(net: scfx.CompressedModule, result: Result) -> None:
    """Note what is prunable, what is not and why, and how long it takes to find out."""
    runs = [timed(lambda: scfx.ChannelGraph(net._program)) for _ in range(3)]
    result.analyse_ms = 1000 * min(seconds for _, seconds in runs)
    graph = runs[-1][0]
    report = GraphReport.of(graph, outputs=False)
    result.share = report.share
    result.losses = losses(graph, report)
    calls = Counter((trouble.target, trouble.reason) for trouble in report.troubles)
    result.troubles = [Trouble(target, reason, count) for (target, reason), count in calls.items()]


def losses(graph: scfx.ChannelGraph, report: GraphReport) -> list[Loss]:
    """Return what is not prunable by reason. Where several pinned axes run along a dim, they share its loss."""
    reasons: dict[tuple[str, int], list[str]] = {}
    for axis in graph.axes:
        if axis._var.pin is not None:
            for member in axis.members:
                reasons.setdefault((member.name, member.dim), []).append(axis._var.pin.reason)
    counted = [dim for dim in report.dims if not dim.kernel and dim.size > 1]
    total = sum(dim.numel for dim in counted)
    lost: dict[str, float] = dict.fromkeys((pin.reason for pin in report.pins), 0.0)
    for dim in counted:
        blame = reasons.get((dim.name, dim.dim), [])
        for reason in blame:
            lost[reason] += dim.numel * (1 - dim.share) / total / len(blame)
    found = [Loss(pin.reason, pin.axes, pin.channels, lost[pin.reason]) for pin in report.pins]
    return sorted(found, key=lambda loss: -loss.share)


def prune(model: ZooModel, module: nn.Module, net: scfx.CompressedModule) -> Outcome:
    """Prune twice and compare with the original throughout; with other numbers where rounding alone decided."""
    for seed in range(ATTEMPTS):
        try:
            return check_exact(
                module, model.inputs, net=net, name=model.name, seed=seed, rounds=model.rounds, thorough=False,
                everything_first=True,
            )  # fmt: skip
        except IllConditionedError:
            if seed == ATTEMPTS - 1:
                raise
            module = model.settled(seed + 1)
            net = compressed(module, model, seed + 1)
    raise AssertionError("unreachable")


def record(outcome: Outcome, result: Result) -> None:
    """Note how far pruning was off, how long it took and what it left."""
    groups = {
        "eval": [c.error for c in outcome.checks if c.what == "outputs" and not c.training],
        "train": [c.error for c in outcome.checks if c.what == "outputs" and c.training],
        "gradients": [c.error for c in outcome.checks if c.what == "gradients"],
        "second": [c.error for c in outcome.checks if c.turn == 2],
    }
    result.errors = {name: max(errors) for name, errors in groups.items()}
    result.prune_ms = 1000 * outcome.seconds[1]
    result.left = outcome.weights[-1] / outcome.weights[0]


def main(name: str, file: str, gigabytes: str) -> None:
    """Examine the model of a name, with a limit on the memory, and leave the result in a file."""
    limit = int(float(gigabytes) * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    result = Result(name, datetime.datetime.now(datetime.UTC).date().isoformat())
    examine(find(name), result, lambda found: found.save(Path(file)))


if __name__ == "__main__":
    main(*sys.argv[1:])
