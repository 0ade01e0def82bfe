"""Networks to export, with channels of many depths, and what ONNX Runtime makes of the files."""

from pathlib import Path
from typing import Any

import onnx_ir
import onnxruntime
import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

import scfx
from tests.files.networks import set_depths


def finalized(model: torch.nn.Module, inputs: Any, seed: int = 0) -> fx.GraphModule:
    """A network whose channels have no to 9 bits."""
    net = scfx.compress(model, inputs).eval()
    set_depths(net, seed)
    return net.finalize()


def bits_of(model: torch.nn.Module, inputs: Any, bits: float) -> fx.GraphModule:
    """A network whose channels all have the same bits."""
    net = scfx.compress(model, inputs).eval()
    with torch.no_grad():
        for _, quantizer in net.quantizers():
            quantizer.bits.fill_(bits)
    return net.finalize()


def run(path: Path, *inputs: Tensor) -> list[Tensor]:
    """The outputs of a file as ONNX Runtime computes them without being told anything."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    found = session.run(None, {name: each.numpy() for name, each in zip(names, inputs, strict=True)})
    return [torch.from_numpy(each) for each in found]


def apart(path: Path, net: fx.GraphModule, *inputs: Tensor) -> float:
    """How far ONNX Runtime's outputs are from the network's, relative to the largest."""
    with torch.no_grad():
        expected = pytree.tree_leaves(net(*inputs))
    found = run(path, *inputs)
    assert [each.shape for each in found] == [each.shape for each in expected]
    return max(float((one - other).abs().max() / one.abs().max()) for one, other in zip(expected, found, strict=True))


def kinds(path: Path) -> dict[str, str]:
    """The types of the whole numbers, by the weight's name."""
    held = onnx_ir.load(path).graph.initializers
    types = {name.removesuffix(".numbers"): value.dtype for name, value in held.items() if name.endswith(".numbers")}
    return {name: kind.name for name, kind in types.items() if kind is not None}
