"""The compressed weights as a file."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file
from torch import fx

from scfx.demo.measuring import size_of
from scfx.reporting.stored import stored_bits


def save_weights(path: Path, final: fx.GraphModule) -> None:
    """Writes what a finalized module holds as safetensors.

    The values are the quantized ones, as plain float32 that anything can read. The metadata says what they would need
    when packed: `bits_per_channel` (JSON) gives the bits of each output channel of each weight, and `weights`,
    `weight_bits` and `all_bits` give the sums: see `scfx.demo.measuring.Size`.
    """
    size, depths = size_of(final), stored_bits(final)
    metadata = {
        "format": "pt",
        "bits_per_channel": json.dumps(depths),
        "weights": str(size.weights),
        "weight_bits": str(size.weight_bits),
        "all_bits": str(size.all_bits),
    }
    save_file({name: tensor.detach().contiguous() for name, tensor in final.state_dict().items()}, path, metadata)
