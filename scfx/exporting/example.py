"""A call of a finished network to export it with: example arguments, and which of their sizes are free."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import Dim
from torch.fx.graph import _PyTreeCodeGen
from torch.utils import _pytree as pytree

from scfx.capture.calling import split_example
from scfx.capture.leaves import named_leaves, names_of
from scfx.errors import InputError


@dataclass(frozen=True)
class Example:
    """An example call.

    Attributes:
        arguments: By the names that the network has for them.
        free: For each tensor in them, in order, the dimensions whose size need not be the example's.
    """

    arguments: dict[str, Any]
    free: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(net: fx.GraphModule, inputs: object) -> Example:
        """The inputs that are given as a call of a network, or, without any, a call like the one at capture.

        Raises:
            InputError: They are not what the network takes; or none are given, and the network doesn't know any.
        """
        holders = [node for node in net.graph.nodes if node.op == "placeholder" and not node.args]
        names = [node.name for node in holders]
        if inputs is None:
            if not all("example" in node.meta for node in holders):
                raise InputError(
                    "this network doesn't say what it is fed: give example inputs, as scfx.compress takes them"
                )
            device = next((tensor.device for tensor in net.state_dict().values()), torch.device("cpu"))
            arguments = _arguments(net.graph, [_filled(node, device) for node in holders])
        else:
            args, kwargs = split_example(inputs)
            try:
                arguments = dict(inspect.signature(net.forward).bind(*args, **kwargs).arguments)
            except TypeError as error:
                raise InputError(f"the network takes other inputs: {error}") from error
        leaves = pytree.tree_leaves(arguments)
        if len(leaves) != len(holders) or not all(isinstance(leaf, Tensor) for leaf in leaves):
            given = ", ".join(name for name, _ in named_leaves(arguments))
            raise InputError(f"the network takes the tensors {', '.join(names)}, and given are {given}")
        return Example(arguments, tuple(_free(node, leaf) for node, leaf in zip(holders, leaves, strict=True)))

    def sizes(self) -> dict[str, Any]:
        """The free sizes as torch.export takes them."""
        leaves, spec = pytree.tree_flatten(self.arguments)
        dims = [dict.fromkeys(free, Dim.AUTO) for _, free in zip(leaves, self.free, strict=True)]
        described: dict[str, Any] = pytree.tree_unflatten(dims, spec)
        return described


def output_names(graph: fx.Graph) -> list[str]:
    """A name for each tensor that a graph returns: its place in the output, as a name in code."""
    (output,) = (node for node in graph.nodes if node.op == "output")
    leaves = list(named_leaves(output.args[0]))
    if isinstance(graph._codegen, _PyTreeCodeGen) and graph._codegen.pytree_info.out_spec is not None:
        paths = names_of(graph._codegen.pytree_info.out_spec)
        leaves = [(path, leaf) for path, (_, leaf) in zip(paths, leaves, strict=True)]
    names: list[str] = []
    for path, leaf in leaves:
        if isinstance(leaf, fx.Node):
            name = "_".join(filter(None, "".join(c if c.isalnum() else " " for c in path).split())) or "output"
            name = f"output_{name}" if name[0].isdigit() else name
            names.append(name if name not in names else f"{name}_{len(names)}")
    return names


def _filled(node: fx.Node, device: torch.device) -> Tensor:
    """An example of one input: normally distributed, or ones, which are an index, a mask and a flag alike."""
    shape, dtype = node.meta["example"], node.meta["dtype"]
    if not dtype.is_floating_point and not dtype.is_complex:
        return torch.ones(shape, dtype=dtype, device=device)
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0)).to(device)


def _free(node: fx.Node, leaf: Tensor) -> tuple[int, ...]:
    """The free dimensions of an input; the batch alone where the network doesn't know. A single entry is never free."""
    known = node.meta.get("free", (0,))
    return tuple(dim for dim in known if dim < leaf.ndim and leaf.shape[dim] > 1)


def _arguments(graph: fx.Graph, leaves: list[Tensor]) -> dict[str, Any]:
    """The arguments that these tensors make."""
    codegen = graph._codegen
    if isinstance(codegen, _PyTreeCodeGen):
        values = pytree.tree_unflatten(leaves, codegen.pytree_info.in_spec)
        return dict(zip(codegen.pytree_info.orig_args, values, strict=True))
    names = [str(node.target) for node in graph.nodes if node.op == "placeholder" and not node.args]
    return dict(zip(names, leaves, strict=True))
