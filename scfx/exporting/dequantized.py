"""Weights of an ONNX graph as whole numbers, in the narrowest type that holds them, with a DequantizeLinear behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from scfx.files.weights import channels_first, grid_of, whole_numbers

#: The bits of ONNX's types, each with the first version of the operators in which DequantizeLinear takes it.
_TYPES = {2: ("INT2", 25), 4: ("INT4", 21), 8: ("INT8", 10), 16: ("INT16", 21)}

#: The types in which Gather looks up.
_LOOKED_UP = ("INT8", "INT16")


def dequantize(graph: Any, name: str, weight: Tensor, scales: Tensor, bits: int, opset: int) -> bool:
    """Replaces the initializer that holds a weight by whole numbers, scales and a DequantizeLinear.

    Scales along one dimension are DequantizeLinear's axis. Where channels lie along several, as with groups of a
    transposed convolution and with experts, the numbers are stored by channel, and reshaped behind.

    Args:
        graph: An `onnx_ir.Graph`.
        name: The initializer's.
        weight, scales: As `net.finalize()` left them.
        bits: What the widest of its channels takes.
        opset: The version of the operators.

    Returns:
        Whether it was; not where the dtype is none that DequantizeLinear makes, or more than 16 bits are needed.

    Raises:
        CheckpointError: The weight isn't whole numbers times scales.
    """
    import onnx_ir as ir

    fitting = [kind for width, (kind, first) in _TYPES.items() if bits <= width and first <= opset]
    if not fitting or scales.dtype != torch.float32:
        return False
    value = weight.detach().cpu().contiguous()
    codes = whole_numbers(name, value, scales).numpy().astype(ir.DataType[fitting[0]].numpy())
    factors = scales.cpu().reshape(-1).numpy().copy()
    factors[factors == 0] = 1  # of channels without bits: 0 * 1 is 0 as well, and some runtimes want no zeros here
    grid = grid_of(value.shape, scales.shape)[0]
    order, along = channels_first(scales), [dim for dim in range(len(grid)) if scales.shape[dim] > 1]
    sorted_sizes, back = np.array([grid[dim] for dim in order]), np.argsort(order)
    old = graph.initializers.pop(name)
    readers, tape = [node for node, _ in old.uses()], ir.tape.Tape()

    def held(what: str, numbers: Any) -> Any:
        made = ir.val(f"{name}.{what}", const_value=ir.tensor(numbers, name=f"{name}.{what}"))
        graph.initializers[made.name] = made
        return made

    if len(along) > 1 or grid != tuple(value.shape):
        out = tape.op("DequantizeLinear", [held("numbers", codes), held("scales", factors)], {"axis": 0})
        out = tape.op("Reshape", [out, held("parts", sorted_sizes)])
        out = tape.op("Transpose", [out], {"perm": back.tolist()})
        out = tape.op("Reshape", [out, held("shape", np.array(value.shape))])
    else:
        axis = along[0] if along else order[0]
        codes = codes.reshape(sorted_sizes).transpose(back)
        scale = held("scales", factors if along else np.repeat(factors, grid[axis]))
        if fitting[0] in _LOOKED_UP and all(_looks_up(node, old, axis) for node in readers):
            numbers = held("numbers", codes)
            for node in readers:
                _look_up_first(graph, node, numbers, scale, axis, old.dtype)
            return True
        if value.ndim == 2:
            # By a matrix that comes right out of DequantizeLinear, ONNX Runtime multiplies in 8 bits, and may be 1 %
            # off. With a reshape between the two it keeps to the numbers.
            out = tape.op("DequantizeLinear", [held("numbers", codes[None]), scale], {"axis": axis + 1})
            out = tape.op("Reshape", [out, held("shape", np.array(value.shape))])
        else:
            out = tape.op("DequantizeLinear", [held("numbers", codes), scale], {"axis": axis})
    if old.dtype != ir.DataType.FLOAT:
        out = tape.op("Cast", [out], {"to": old.dtype})
    out.shape, out.dtype = ir.Shape(value.shape), old.dtype
    old.replace_all_uses_with(out, replace_graph_outputs=True)
    out.name = name
    # In front of its first reader, so that not all weights are floats at once; readers may be in a loop's body.
    graph.insert_before(next((node for node in graph if node in readers), graph[0]), tape.nodes)
    return True


def _looks_up(node: Any, table: Any, axis: int) -> bool:
    """Whether a node picks from a table, along another dimension than the scales are."""
    indices = node.inputs[1].shape if node.op_type == "Gather" and node.inputs[0] is table else None
    return indices is not None and node.attributes.get_int("axis", 0) != axis


def _look_up_first(graph: Any, node: Any, numbers: Any, scale: Any, axis: int, dtype: Any) -> None:
    """Looks up whole numbers and multiplies what was found, and not a whole table each time."""
    import onnx_ir as ir

    at, tape = node.attributes.get_int("axis", 0), ir.tape.Tape()
    found = tape.op("Gather", [numbers, node.inputs[1]], {"axis": at})
    behind = axis + len(node.inputs[1].shape) - 1 if axis > at else axis
    out = tape.op("DequantizeLinear", [found, scale], {"axis": behind})
    if dtype != ir.DataType.FLOAT:
        out = tape.op("Cast", [out], {"to": dtype})
    (old,) = node.outputs
    out.shape, out.dtype = old.shape, dtype
    old.replace_all_uses_with(out, replace_graph_outputs=True)
    graph.insert_before(node, tape.nodes)
    graph.remove(node, safe=True)
