"""A captured model as plain data: one tree of parameters, one ATen graph for each mode, and how it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import fx, nn

from scfx.capture.calling import CallSpec
from scfx.capture.tracing import OperatorTracer

Mode = Literal["train", "eval"]
MODES: tuple[Mode, Mode] = ("train", "eval")

#: What fx.GraphModule stores a module's state in. Sharing these very objects is what makes two modules one.
_STATE = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")


@dataclass
class Program:
    """A captured model.

    Attributes:
        root: A bare tree of `nn.Module` that owns every parameter, buffer and lifted constant under its own state-dict
            name. Tied parameters are one object under all their names.
        graphs: The ATen graph of each mode. Parameters and buffers are `get_attr` nodes, placeholders are the flat
            leaves of the inputs (`call.flatten`), and the output node holds one tuple: the flat leaves of the outputs.
        call: How arguments become flat leaves, and flat leaves the output.
        notes: What a person has to know of how the graphs differ from the model, in whole sentences.
        examples: What symbolic sizes were for the example inputs, by the prime (or multiple) that stands for each.

    Every node carries `meta["shape"]`, `meta["dtype"]` and, where it is an integer, `meta["value"]`; each symbolic
    size is replaced by a prime of its own (see `scfx/terms/symbolic.py`), the same in both modes.
    """

    root: nn.Module
    graphs: dict[Mode, fx.Graph]
    call: CallSpec
    notes: tuple[str, ...] = ()
    examples: Mapping[int, int] = field(default_factory=dict)


def graph_module(program: Program, mode: Mode) -> fx.GraphModule:
    """Return a GraphModule from flat input leaves to the tuple of flat output leaves of one graph of `program`.

    It shares the graph, and the very dicts in which `program.root` stores parameters, buffers and submodules: what is
    moved, cast, loaded or replaced at the top of one is at once so in the other. After editing the graph call
    `recompile()`.
    """
    module = fx.GraphModule(nn.Module(), fx.Graph(), class_name="Captured")
    for attribute in _STATE:
        module.__dict__[attribute] = program.root.__dict__[attribute]
    graph = program.graphs[mode]
    graph._tracer_cls = module._tracer_cls = OperatorTracer  # pickling a GraphModule traces its code again
    module.graph = graph
    module.train(program.root.training)
    return module
