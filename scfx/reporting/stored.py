"""In how many bits each channel of each weight is stored."""

from __future__ import annotations

from torch import fx, nn

from scfx.nodes.quantizer import Quantizer


def stored_bits(model: nn.Module) -> dict[str, list[int]]:
    """The bits in which each output channel's whole numbers are stored, by weight: none if they aren't quantized.

    Args:
        model: A compressed network, or what its `finalize()` or `scfx.load` has returned.
    """
    if isinstance(model, fx.GraphModule):
        return dict(model.meta.get("bits", {}))
    return {
        path.removesuffix("_quantizer"): module.storage_bits().tolist()
        for path, module in model.named_modules()
        if isinstance(module, Quantizer)
    }
