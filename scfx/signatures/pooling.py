"""Pooling and interpolation: channels are alone, windows are rigid."""

from __future__ import annotations

from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Record

_WINDOWED = {1: ("h", "u"), 2: ("h w", "u v"), 3: ("h w d", "u v x")}


def _pool(rank: int, *names: str, results: int = 1, operand: str = "self", doc: str = "pooling") -> Pattern:
    inside, outside = _WINDOWED[rank]
    return Pattern(
        targets=tuple(f"aten.{name}" for name in names),
        signature=f"*b {inside} -> " + ", ".join([f"*b {outside}"] * results),
        operands=(operand,),
        pointwise="*b",
        zero=operand,
        reasons=dict.fromkeys(f"{inside} {outside}".split(), f"{doc} window"),
        doc=doc,
    )


_KINDS = ("avg_pool{n}d", "max_pool{n}d", "adaptive_avg_pool{n}d", "_adaptive_avg_pool{n}d", "quantized_max_pool{n}d")
_WITH_INDICES = ("max_pool{n}d_with_indices", "adaptive_max_pool{n}d", "fractional_max_pool{n}d")
_RESIZING = ("upsample_nearest{n}d", "_upsample_nearest_exact{n}d")
_SMOOTH = {1: ("upsample_linear1d",), 2: ("upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
           3: ("upsample_trilinear3d",)}  # fmt: skip
_OVERLOADS = ("default", "vec")


def _named(kinds: tuple[str, ...], rank: int, overloads: tuple[str, ...] = ("default",)) -> tuple[str, ...]:
    return tuple(f"{kind.format(n=rank)}.{overload}" for kind in kinds for overload in overloads)


RECORDS: tuple[Record, ...] = (
    *(_pool(rank, *_named(_KINDS, rank)) for rank in _WINDOWED),
    *(_pool(rank, *_named(_WITH_INDICES, rank), results=2) for rank in _WINDOWED),
    *(_pool(rank, *_named(_RESIZING, rank, ("default",)), doc="interpolation") for rank in _WINDOWED),
    *(_pool(rank, *_named(_RESIZING, rank, ("vec",)), operand="input", doc="interpolation") for rank in _WINDOWED),
    *(_pool(rank, *_named(_SMOOTH[rank], rank), doc="interpolation") for rank in _WINDOWED),
    *(_pool(rank, *_named(_SMOOTH[rank], rank, ("vec",)), operand="input", doc="interpolation") for rank in _WINDOWED),
    _pool(1, "reflection_pad1d.default", "replication_pad1d.default", doc="padding"),
    _pool(2, "reflection_pad2d.default", "replication_pad2d.default", doc="padding"),
    _pool(3, "reflection_pad3d.default", "replication_pad3d.default", doc="padding"),
)
