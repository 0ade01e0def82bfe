"""Modules without values, as the meta device makes them: they can be looked at, not trained."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from scfx.errors import ModelError


def refuse_valueless(tensors: Mapping[str, Tensor]) -> None:
    """Checks that every tensor (by name) has values.

    Raises:
        ModelError: One is on the meta device.
    """
    for name, tensor in tensors.items():
        if tensor.is_meta:
            raise ModelError(
                f"{name} is on the meta device and has no values, which this needs: give the network memory with "
                "net.to_empty(device=...) and values with net.load_state_dict(...), or compress a model that has them"
            )
