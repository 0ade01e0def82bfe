"""One run from options to a line in the results: what is the same in all examples."""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import fx, nn

import scfx
from examples.learning import Epoch, Recipe, Task, start_depths, train
from examples.records import Record, append, layers_of, setting
from scfx.capture.calling import split_example
from scfx.demo.measuring import size_of
from scfx.reporting.report_text import percent

#: The folder with data next to the checkout, where there is one.
DATA = Path(__file__).resolve().parents[1] / "../shared/data"


@dataclass(frozen=True)
class Subject:
    """What is trained.

    Attributes:
        example, name: Which program, and which network.
        model: The network; it is trained in place unless it compresses itself.
        inputs: Example inputs for capture.
        task: What it learns.
        steps: Batches in an epoch.
        data: What it learns from, in words.
        measure: What a score is, in words.
    """

    example: str
    name: str
    model: nn.Module
    inputs: Any
    task: Task
    steps: int
    data: str
    measure: str


def parser(description: str | None, recipe: Recipe, batch: int) -> argparse.ArgumentParser:
    """The options that all examples have, with the values of a recipe as defaults."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    result.add_argument("--data", type=Path, default=DATA if DATA.exists() else None, help="folder with the data")
    result.add_argument("--out", type=Path, default=Path("results"), help="folder that the results are added to")
    result.add_argument("--save", type=Path, help="file for the trained network: safetensors, or what scfx.load reads")
    result.add_argument("--dense", action="store_true", help="train the network as it is, for comparison")
    result.add_argument("--smoke", action="store_true", help="a few seconds on made-up data, to see that all works")
    result.add_argument("--batch-size", type=int, default=batch, help="samples in a step")
    result.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads that torch computes with")
    result.add_argument("--device", default="cpu", help="where torch computes, such as cuda")
    for name in ("epochs", "prune_every", "seed"):
        result.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(recipe, name), help=" ")
    for name in ("lr", "weight_decay", "quantizer_lr", "quantizer_eps", "start_bits", "settled_rate", "gamma"):
        result.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(recipe, name), help=" ")
    result.add_argument("--until", type=float, default=recipe.until, help="bits per weight at which depths stop")
    return result


def recipe_from(options: argparse.Namespace) -> Recipe:
    """The recipe that the options ask for; a dense network has no gamma."""
    values = {name: getattr(options, name) for name in Recipe.__dataclass_fields__ if hasattr(options, name)}
    if options.dense:
        values |= {"gamma": 0.0, "until": None}
    if options.smoke:
        values["epochs"] = min(2, values["epochs"])
    return Recipe(**values)


def run(subject: Subject, options: argparse.Namespace) -> Record:
    """Trains, prints every epoch, and adds the record to `<out>/<example>.jsonl`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # decayed weights: a processor can be many times slower with these
    try:
        record, trained = _run(subject, recipe_from(options), compressed=not options.dense)
    finally:
        torch.set_num_threads(threads)
    record.setting.update(threads=options.threads, batch_size=options.batch_size)
    append(options.out / f"{subject.example}.jsonl", record)
    if options.save is not None:
        _save(trained, options.save)
    return record


def _save(trained: nn.Module, path: Path) -> None:
    if isinstance(trained, fx.GraphModule):
        scfx.save(trained, path)
    else:
        save_file({name: value.contiguous() for name, value in trained.state_dict().items()}, path)


def _run(subject: Subject, recipe: Recipe, compressed: bool) -> tuple[Record, nn.Module]:
    torch.manual_seed(recipe.seed)
    given, task = copy.deepcopy(subject.model), subject.task
    full = size_of(given)
    start = task.score(subject.model)
    kind = f"gamma {recipe.gamma:g}, until {recipe.until}" if compressed else "dense"
    print(f"{subject.name}, {kind}: {full.weights:,} weights, {subject.measure} {start:.2f}", flush=True)

    def show(epoch: Epoch) -> None:
        print(
            f"epoch {epoch.number}/{recipe.epochs}: "
            f"training loss {epoch.loss:.3f}, {subject.measure} {epoch.score:.2f}, "
            f"weights {_share(epoch.weights, full.weights)}, bits {_share(epoch.weight_bits, full.weight_bits)}, "
            f"{epoch.seconds:.1f} s ({epoch.cpu_seconds:.1f} s of the processor), {epoch.step_ms:.1f} ms a step",
            flush=True,
        )

    if compressed:
        net = scfx.compress(subject.model.train(), subject.inputs)
        start_depths(net, recipe.start_bits)
        args, kwargs = split_example(subject.inputs)
        error = net.quantization_error(*args, **kwargs)
        print(f"quantized to {recipe.start_bits:g} bits, the outputs start {percent(error)} off", flush=True)
        epochs = train(net, task, recipe, subject.steps, show)
        net.prune()
        final = net.finalize()
        trained: nn.Module = final
        score, size, layers = task.score(final), size_of(final), layers_of(given, final)
    else:
        epochs = train(subject.model, task, recipe, subject.steps, show)
        trained = subject.model
        score, size, layers = epochs[-1].score, size_of(subject.model), []
    print(
        f"finally: {subject.measure} {score:.2f}, weights {_share(size.weights, full.weights)}, "
        f"bits {_share(size.weight_bits, full.weight_bits)}, "
        f"with scales, biases and norms {_share(size.all_bits, full.all_bits)}",
        flush=True,
    )
    record = Record(
        example=subject.example,
        model=subject.name,
        compressed=compressed,
        data=subject.data,
        recipe=recipe,
        measure=subject.measure,
        start_score=start,
        score=score,
        dense=full,
        final=size,
        epochs=epochs,
        layers=layers,
        setting=setting(),
    )
    return record, trained


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f} %"
