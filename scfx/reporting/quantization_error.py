"""How far a quantized network is from the same one with its weights as they are."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from math import inf, nan
from typing import Any

import torch
from torch import Tensor, fx, nn

from scfx.capture.runs import run
from scfx.capture.selfcheck import untouched_buffers
from scfx.nodes.quantizer import Quantizer


def quantization_error(
    root: nn.Module, graph: fx.GraphModule, quantizers: Iterable[Quantizer], leaves: list[Any]
) -> float:
    """How far the outputs of a graph are from those without its quantizers, relative to these; of the worst output.

    Both runs draw the same random numbers. Nothing changes, buffers included. Of entries that are finite without
    quantizers it is infinite if one is no number with them, and NaN if there are none to compare.

    Args:
        root: What owns the parameters and buffers.
        graph: From flat input leaves to flat output leaves.
        quantizers: Those of the graph.
        leaves: The inputs.
    """

    def outputs() -> tuple[Any, ...]:
        given = [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        with untouched_buffers(root):
            return run(lambda: graph(*given), root, gradients=False).outputs

    quantized = outputs()
    with ExitStack() as stack:
        for quantizer in quantizers:
            stack.callback(quantizer.register_forward_hook(_unquantized).remove)
        exact = outputs()
    distances = [_distance(one, other) for one, other in zip(quantized, exact, strict=True)]
    return max((distance for distance in distances if distance is not None), default=nan)


def _unquantized(_: nn.Module, weights: tuple[Tensor], __: Tensor) -> Tensor:
    return weights[0]


def _distance(quantized: object, exact: object) -> float | None:
    """The length of the difference of two tensors over that of the second; of entries that are finite there, if any."""
    if not isinstance(quantized, Tensor) or not isinstance(exact, Tensor):
        return None
    if not (exact.is_floating_point() or exact.is_complex()):
        return None
    if quantized.shape != exact.shape:
        return inf
    finite = exact.isfinite()
    if not finite.any():
        return None
    # In float32 the squares of large outputs would overflow.
    one, other = (t[finite].cpu().to(torch.promote_types(t.dtype, torch.float64)) for t in (quantized, exact))
    if not one.isfinite().all():
        return inf
    change = float((one - other).norm())
    return change and change / max(float(other.norm()), torch.finfo(torch.float32).tiny)
