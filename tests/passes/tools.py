"""What the tests of the passes share: a graph from a toy model, its printed form, and the comparison with the model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as pytree

from scfx.passes.base import Pass
from scfx.passes.building import fake_result
from scfx.passes.effects import writes_state
from tests.comparison import require_equal

Inputs = Callable[[int], tuple[Any, ...]]


@dataclass(frozen=True)
class Captured:
    """A graph as the passes get it, and the modules it fetches from."""

    graph: fx.Graph
    root: nn.Module

    def apply(self, passes: Sequence[Pass]) -> int:
        """Run the passes and return the number of changes."""
        return sum(step(self.graph, self.root) for step in passes)

    def call(self, *inputs: Any) -> Any:
        """Run the graph on its flat inputs and return its flat outputs."""
        return fx.Interpreter(fx.GraphModule(self.root, self.graph)).run(*inputs)


def captured(model: nn.Module, *example: Any, train: bool = True) -> Captured:
    """Export a copy of `model` with a free batch; parameters, buffers and constants come from `get_attr` nodes."""
    model = copy.deepcopy(model).train(train)
    free = pytree.tree_map(lambda leaf: {0: Dim.AUTO} if isinstance(leaf, Tensor) and leaf.ndim else None, example)
    exported = torch.export.export(model, example, dynamic_shapes=free, strict=False)
    return Captured(_unlifted(exported, model), model)


def _unlifted(exported: ExportedProgram, root: nn.Module) -> fx.Graph:
    graph = fx.Graph()
    env: dict[fx.Node, fx.Node] = {}
    specs = {spec.arg.name: spec for spec in exported.graph_signature.input_specs}
    for node in exported.graph.nodes:
        spec = specs.get(node.name)
        if node.op != "placeholder" or spec is None or spec.kind is InputKind.USER_INPUT:
            env[node] = graph.node_copy(node, env.__getitem__)
            continue
        target = str(spec.target)
        if spec.kind is InputKind.CONSTANT_TENSOR:
            constant = exported.constants[target]
            assert isinstance(constant, Tensor)
            target = f"_lifted_{len(root._buffers)}"
            root.register_buffer(target, constant.detach().clone(), persistent=False)
        env[node] = graph.create_node("get_attr", target, name=node.name)
        env[node].meta = dict(node.meta)
    for name, region in exported.graph_module.named_children():
        root.add_module(name, region)
    return graph


def program(graph: fx.Graph) -> list[str]:
    """Return the graph in print: `name = operator(arguments)` for each operator, and what it returns."""
    lines = []
    for node in graph.nodes:
        given = ", ".join([*map(_text, node.args), *(f"{key}={_text(item)}" for key, item in node.kwargs.items())])
        if node.op == "output":
            lines.append(f"return {given}")
        elif node.op == "call_function":
            lines.append(f"{node.name} = {_operator(node)}({given})")
    return lines


def _operator(node: fx.Node) -> str:
    if isinstance(node.target, OpOverload):
        return str(node.target).removeprefix("aten.")
    return getattr(node.target, "__name__", str(node.target))


def _text(argument: Any) -> str:
    if isinstance(argument, fx.Node):
        return str(argument.target) if argument.op == "get_attr" else argument.name
    if isinstance(argument, (list, tuple)):
        return f"[{', '.join(map(_text, argument))}]"
    return repr(argument)


def check(
    model: nn.Module, inputs: Inputs, passes: Sequence[Pass], train: bool = True, needs_grad: bool = False
) -> Captured:
    """Rewrite the graph of `model` and require that it computes what the model computes, for two batch sizes.

    Compared are outputs, gradients, buffers and what the inputs are after the call; besides, every node must carry a
    right fake value, and a second rewrite must change nothing. `inputs` makes inputs for a batch; with `needs_grad`
    they require grad.
    """
    model = model.train(train)
    result = captured(model, *inputs(3), train=train)
    result.apply(passes)
    lines = program(result.graph)
    assert result.apply(passes) == 0, "the second rewrite counted changes"
    assert program(result.graph) == lines, "the second rewrite changed the graph"
    for batch in (3, 5):
        reference, mine = copy.deepcopy(model), Captured(result.graph, copy.deepcopy(result.root))
        expected = observe(reference, reference, inputs(batch), needs_grad)
        actual = observe(mine.call, mine.root, inputs(batch), needs_grad)
        actual = {
            name: tensor for name, tensor in actual.items() if name in expected or not name.startswith("buffer _")
        }
        require_equal(actual, expected, f"batch of {batch}")
    check_values(result)
    return result


def observe(call: Callable[..., Any], root: nn.Module, inputs: tuple[Any, ...], needs_grad: bool) -> dict[str, Tensor]:
    """Call, go backward from random weights on the outputs, and return everything that can be seen of it, by name."""
    leaves = [leaf.requires_grad_() if needs_grad and leaf.is_floating_point() else leaf for leaf in inputs]
    given = [leaf.clone() if needs_grad else leaf for leaf in leaves]  # a leaf that requires grad cannot be written to
    torch.manual_seed(7)
    outputs = pytree.tree_leaves(call(*given))
    seen = {f"output {index}": output.detach().clone() for index, output in enumerate(outputs)}
    loss = torch.zeros((), dtype=torch.float64)
    for output in outputs:
        weights = torch.randn(output.shape)  # drawn for each output, so that all get the same on both sides
        if output.requires_grad:
            loss = loss + (output * weights).sum()
    if loss.requires_grad:
        loss.backward()
    for index, (leaf, used) in enumerate(zip(leaves, given, strict=True)):
        seen[f"input {index}"] = used.detach()
        if leaf.is_leaf and leaf.requires_grad:
            seen[f"gradient of input {index}"] = _gradient(leaf)
    seen.update({f"gradient of {name}": _gradient(parameter) for name, parameter in root.named_parameters()})
    seen.update({f"buffer {name}": buffer.detach() for name, buffer in root.named_buffers()})
    return seen


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def check_values(captured: Captured) -> None:
    """Require that the recorded fake values are what the operators make of the fake values of their arguments."""
    for node in captured.graph.nodes:
        if node.op == "call_function":
            assert "val" in node.meta, f"{node.name} has no fake value"
            recorded, computed = pytree.tree_leaves(node.meta["val"]), pytree.tree_leaves(_recomputed(node))
            for have, want in zip(recorded, computed, strict=True):
                if isinstance(want, Tensor):
                    assert [str(size) for size in have.shape] == [str(size) for size in want.shape], node.name
                    assert have.dtype == want.dtype, node.name


def _recomputed(node: fx.Node) -> Any:
    if writes_state(node) or not isinstance(node.target, OpOverload):
        return node.meta["val"]
    return fake_result(node, node)
