"""torch's own Transformer looks into its masks to find out whether they are causal; export can't see values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import Tensor
from torch.nn.modules import transformer


def _as_told(mask: Tensor | None, is_causal: bool | None = None, size: int | None = None) -> bool:
    return is_causal is True


@contextlib.contextmanager
def masks_as_given() -> Iterator[None]:
    """While active, `nn.Transformer` takes a mask as causal only where it is told so.

    That a mask is causal is a hint with which attention may run faster; without it, the mask itself is applied, to the
    same result.
    """
    looked = transformer._detect_is_causal_mask
    transformer._detect_is_causal_mask = _as_told
    try:
        yield
    finally:
        transformer._detect_is_causal_mask = looked
