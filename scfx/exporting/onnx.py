"""`scfx.export_onnx`: a compressed network as an ONNX file, its weights as whole numbers."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch.nn.attention import SDPBackend, sdpa_kernel

from scfx.capture.quiet import quiet
from scfx.errors import ExportError, ScfxError
from scfx.exporting import tidy
from scfx.exporting.dequantized import dequantize
from scfx.exporting.example import Example, output_names
from scfx.exporting.tried import compare
from scfx.exporting.trouble import check_packages, check_place, explained
from scfx.files.files import finished
from scfx.module import CompressedModule
from scfx.whole import whole

#: The first version of ONNX's operators with whole numbers of 4 bits.
OPSET = 21


def export_onnx(
    net: CompressedModule | fx.GraphModule,
    path: str | os.PathLike[str],
    inputs: object = None,
    *,
    opset: int = OPSET,
    check: bool = True,
) -> None:
    """Writes a network as an ONNX file, for ONNX Runtime and whatever else reads such files.

    Weights are stored as whole numbers of 4, 8 or 16 bits, whatever the widest channel of each weight needs, with a
    DequantizeLinear behind that multiplies each channel by its scale. The sizes of inputs that are free in the network
    are free in the file. The file appears at once and whole, or not at all. Needs the extra `scfx[onnx]`.

    Args:
        net: What `scfx.compress`, `net.finalize()` or `scfx.load` returned.
        path: The file; it is replaced if it exists.
        inputs: Example inputs, as for `scfx.compress`; without any, made-up ones like those at capture.
        opset: The version of ONNX's operators; from 25 on, weights that need no more than 2 bits take 2.
        check: Compare ONNX Runtime's outputs with the network's, on the example and with one sample more, to 1e-4.

    Raises:
        InputError: `net` is none of these, or the inputs don't fit.
        ExportError: A package is missing, the network has an operator that can't be written as ONNX, or ONNX Runtime
            computes something else. Nothing was written.
        CheckpointError: A quantized weight has been changed since `finalize`.
        OSError: The file can't be written.
    """
    plain, path = finished(net), Path(path)
    check_packages("onnx", "onnxscript", *(["onnxruntime"] if check else []))
    check_place(path)
    if opset < OPSET:
        raise ExportError(f"opset {opset} is too old: weights of 4 bits need {OPSET}")
    example = Example.of(plain, inputs)
    data = _model(plain, example, opset).SerializeToString()
    if check:
        compare(plain, data, example, output_names(plain.graph))
    with whole(path) as draft:
        draft.write_bytes(data)


def _model(net: fx.GraphModule, example: Example, opset: int) -> Any:
    """The network as an `onnx.ModelProto`."""
    import onnx_ir as ir

    # torch takes other code for attention by sizes and settings, which leaves other layouts in memory. All steps of an
    # export have to see the same one, or what could be viewed in one can't be in the next.
    with warnings.catch_warnings(), quiet(), sdpa_kernel(SDPBackend.MATH):
        warnings.simplefilter("ignore")
        try:
            exported = torch.export.export(net, (), example.arguments, dynamic_shapes=example.sizes(), strict=False)
            program = torch.onnx.export(exported, (), dynamo=True, verbose=False, optimize=False, opset_version=opset)
            assert program is not None
            _dequantize(program.model.graph, net, opset)
            program.optimize()
        except ScfxError:
            raise
        except Exception as error:
            raise explained(error, "this network can't be written as ONNX") from error
        model = program.model
    tidy.name_values(model.graph, list(exported.graph_signature.user_inputs), output_names(net.graph))
    tidy.name_sizes(model.graph)
    tidy.forget_origin(model)
    return ir.to_proto(model)


def _dequantize(graph: Any, net: fx.GraphModule, opset: int) -> None:
    """Stores each quantized weight as whole numbers. One that is shared goes by any of its names."""
    names = {id(net.get_parameter(name)): name for name in net.meta["scales"]}
    for name, tensor in [*net.named_parameters(remove_duplicate=False)]:
        if name in graph.initializers and id(tensor) in names:
            own = names[id(tensor)]
            bits = max(net.meta["bits"][own], default=0)
            dequantize(graph, name, tensor, net.meta["scales"][own], bits, opset)
