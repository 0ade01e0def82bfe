"""What ONNX Runtime makes of a file, against what the network computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from scfx.errors import ExportError
from scfx.exporting.example import Example

#: How far apart outputs may be: relative, and relative to the largest, in float32; in half precision.
TOLERANCE, HALF = 1e-4, 2e-2


def compare(net: fx.GraphModule, data: bytes, example: Example, names: Sequence[str]) -> None:
    """Runs an ONNX model on the example, and with one sample more where the batch is free.

    Raises:
        ExportError: ONNX Runtime can't run it, or computes something else.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own kinds of errors, one for each code
        raise _cannot(error) from error
    holders = [each.name for each in session.get_inputs()]
    for arguments in _calls(example, [each.shape for each in session.get_inputs()]):
        leaves = pytree.tree_leaves(arguments)
        with torch.no_grad():
            expected = [leaf for leaf in pytree.tree_leaves(net(**arguments)) if isinstance(leaf, Tensor)]
        given = {name: leaf.detach().cpu().numpy() for name, leaf in zip(holders, leaves, strict=True)}
        try:
            found = session.run(None, given)
        except Exception as error:
            raise _cannot(error) from error
        for name, mine, its in zip(names, expected, found, strict=True):
            _compare(name, mine.cpu(), torch.from_numpy(its), arguments)


def _calls(example: Example, shapes: Sequence[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """The example, and one with one sample more of each input whose dimension 0 is free."""
    yield example.arguments
    leaves, spec = pytree.tree_flatten(example.arguments)
    batches = {str(shape[0]) for shape in shapes if shape and isinstance(shape[0], str)}
    others = [str(size) for shape in shapes for size in shape[1:]]
    if not batches or not all(map(str.isidentifier, batches)) or batches & set(others):
        return
    more = [
        torch.cat([leaf, leaf[:1]]) if shape and isinstance(shape[0], str) else leaf
        for leaf, shape in zip(leaves, shapes, strict=True)
    ]
    yield pytree.tree_unflatten(more, spec)


def _compare(name: str, mine: Tensor, its: Tensor, arguments: dict[str, Any]) -> None:
    sizes = ", ".join("x".join(map(str, leaf.shape)) for leaf in pytree.tree_leaves(arguments))
    if mine.shape != its.shape:
        raise ExportError(
            f"ONNX Runtime's {name} has shape {tuple(its.shape)} and the network's {tuple(mine.shape)}, for inputs of "
            f"{sizes}. Nothing was written"
        )
    tolerance = HALF if mine.dtype in (torch.float16, torch.bfloat16) else TOLERANCE
    one, other = mine.double(), its.double()
    finite = one[one.isfinite()].abs()
    largest = float(finite.max()) if finite.numel() else 0.0
    if not torch.allclose(one, other, rtol=tolerance, atol=tolerance * largest, equal_nan=True):
        apart = (one - other).abs().nan_to_num(float("inf")).max().item()
        raise ExportError(
            f"ONNX Runtime computes something else: for inputs of {sizes}, its {name} is up to {apart:.3g} off where "
            f"numbers are up to {largest:.3g}. Nothing was written. A network that draws random numbers can't be "
            "compared: check=False leaves that out"
        )


def _cannot(error: Exception) -> ExportError:
    return ExportError(
        f"ONNX Runtime can't run what was exported: {str(error)[:600]}. Nothing was written; check=False writes it "
        "for other runtimes"
    )
