"""The model that a command is told of, and its channel graph."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from scfx.capture.capture import capture
from scfx.commands.hubs import HUBS
from scfx.commands.shapes import InputShape, described, example
from scfx.commands.usage import UsageError
from scfx.commands.user_file import made_by
from scfx.graph.channels import ChannelGraph
from scfx.graph.selection import output_positions

#: Models of the hubs with more parameters than this are captured without values, on the meta device.
LARGE = 500_000_000

FORMS = "torchvision:resnet50, timm:vit_tiny_patch16_224, hf:bert or file.py:function"


@dataclass(frozen=True)
class Analysed:
    """What a command works with.

    Attributes:
        inputs: The tensors that the model was captured with, as `--input` says them.
        parameters: How many entries its parameters have together.
        graph: Its channel graph.
    """

    inputs: tuple[str, ...]
    parameters: int
    graph: ChannelGraph


def analysed(name: str, inputs: Sequence[str], outputs: Sequence[str] = (), train_as_eval: bool = False) -> Analysed:
    """Makes a model and analyses it, with a word about what is going on where a terminal shows it.

    Args:
        name: MODEL, as the user wrote it.
        inputs: The `--input`s.
        outputs: The `--outputs`: those that matter; none for all.
        train_as_eval: As in `scfx.compress`.

    Raises:
        UsageError: There is no such model, or what it is fed isn't known.
        ScfxError: The user's code failed, or the model can't be captured.
    """
    shapes = [InputShape.read(text) for text in inputs]
    console = Console(stderr=True)
    with _calm(), console.status(f"making {name}") as status:
        model, given = _made(name, shapes)
        status.update(f"capturing {name} (a large model takes a minute)")
        program = capture(model, given, dynamic=False, train_as_eval=train_as_eval)
        status.update(f"analysing {name}")
        graph = ChannelGraph(program, outputs=output_positions(program.call, outputs or None))
    return Analysed(tuple(described(given)), sum(p.numel() for p in model.parameters()), graph)


def _made(name: str, shapes: Sequence[InputShape]) -> tuple[nn.Module, Any]:
    """The model and its example inputs."""
    place, _, what = name.rpartition(":")
    if place.endswith(".py"):
        model, given = made_by(Path(place), what)
        if shapes:
            return model, example(shapes, _device(model))
        if given is None:
            raise UsageError(
                f"what {name} is fed is not known: give the shape, as in --input 1x3x224x224, "
                "or return (model, example_inputs)"
            )
        return model, given
    hub, _, what = name.partition(":")
    if hub not in HUBS or not what:
        hint = f": write {name}:FUNCTION, a function that returns the model" if name.endswith(".py") else ""
        raise UsageError(f"{name!r} is no model{hint}" if hint else f"{name!r} is no model: MODEL is {FORMS}")
    build, usual = HUBS[hub](what)
    model = _built(build)
    return model, example(shapes or usual(model), _device(model))


def _built(build: Callable[[], nn.Module]) -> nn.Module:
    """The model with random values; without any if it is large, as most can be made so."""
    torch.manual_seed(0)
    with contextlib.suppress(Exception), torch.device("meta"):
        model = build()
        if sum(p.numel() for p in model.parameters()) > LARGE:
            return model
    return build()


def _device(model: nn.Module) -> str:
    return str(next((parameter.device for parameter in model.parameters()), "cpu"))


@contextlib.contextmanager
def _calm() -> Iterator[None]:
    """Keeps warnings and the logs of libraries off the terminal: what matters of them, the report has as notes."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
