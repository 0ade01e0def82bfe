"""Pooling, interpolation, sampling and padding by copies: channels are alone, windows are rigid."""

from __future__ import annotations

from dataclasses import replace

from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record

_WINDOWED = {1: ("h", "u"), 2: ("h w", "u v"), 3: ("h w d", "u v x")}
_SHAPES = {1: "9", 2: "8, 9", 3: "6, 7, 8"}
_OVERLOADS = ("default", "vec")


def _pool(
    rank: int, *kinds: str, results: int = 1, operand: str = "self", doc: str = "pooling", samples: tuple[str, ...]
) -> Pattern:
    """Operators over `rank` dims of space. In samples `@` is space, `#` a list of so many equal numbers."""
    inside, outside = _WINDOWED[rank]

    def written(sample: str) -> str:
        words = sample.replace("@", _SHAPES[rank]).split("#")
        return words[0] + "".join(f"[{', '.join([word[0]] * rank)}]{word[1:]}" for word in words[1:])

    return Pattern(
        targets=tuple(f"aten.{kind.format(n=rank)}" for kind in kinds),
        signature=f"*b {inside} -> " + ", ".join([f"*b {outside}"] * results),
        operands=(operand,),
        pointwise="*b",
        zero=operand,
        reasons=dict.fromkeys(f"{inside} {outside}".split(), f"{doc} window"),
        doc=doc,
        samples=tuple(map(written, samples)),
    )


def _plain_pool(rank: int, kind: str, samples: tuple[str, ...]) -> Choice:
    """A dim whose window is a single place and goes one place at a time is left as it is."""
    usual = _pool(rank, kind, samples=samples)

    def choose(call: Call) -> Operator:
        window, step, border = (_each(call, name, rank) for name in ("kernel_size", "stride", "padding"))
        words = [*zip(window, step or window, border, strict=True)]
        alone = [word == (1, 1, 0) for word in words]
        if not any(alone):
            return usual
        inside, outside = (side.split() for side in _WINDOWED[rank])
        made = [x if same else y for same, x, y in zip(alone, inside, outside, strict=True)]
        free = [x for same, x in zip(alone, inside, strict=True) if same]
        return replace(
            usual, signature=f"*b {' '.join(inside)} -> *b {' '.join(made)}", pointwise=f"*b {' '.join(free)}"
        )

    return Choice(targets=usual.targets, doc=usual.doc, choose=choose, usual=usual, samples=usual.samples)


def _each(call: Call, argument: str, rank: int) -> list[int]:
    """A number for each dim of space; none at all means the operator's own default."""
    given = call.integers(argument)
    return given * rank if len(given) == 1 else given


def _for_rank(rank: int) -> tuple[Record, ...]:
    smooth = {1: ("linear1d",), 2: ("bilinear2d", "bicubic2d"), 3: ("trilinear3d",)}[rank]
    targets = tuple(f"upsample_{kind}.default" for kind in smooth)
    by_name = tuple(f"upsample_{kind}.vec" for kind in smooth)
    nearest = ("upsample_nearest{n}d.%s", "_upsample_nearest_exact{n}d.%s")
    unbatched = "op(t(4, @), #2)"
    single = f"op(t(B, 4, @), {[2, 1, 1][:rank]}, {[2, 1, 1][:rank]})"
    return (
        _plain_pool(rank, "avg_pool{n}d.default", ("op(t(B, 4, @), #3, #2, #1)", unbatched, single)),
        _plain_pool(rank, "max_pool{n}d.default", ("op(t(B, 4, @), #3, #1, #1, #2)", single)),
        _pool(rank, "max_pool{n}d_with_indices.default", results=2, samples=("op(t(B, 4, @), #3, #2, #1)", unbatched)),
        _pool(
            rank,
            "adaptive_avg_pool{n}d.default",
            *(["_adaptive_avg_pool{n}d.default"] if rank > 1 else []),
            samples=("op(t(B, 4, @), #1)", "op(t(4, @), #3)"),
        ),
        _pool(rank, "adaptive_max_pool{n}d.default", results=2, samples=("op(t(B, 4, @), #1)", "op(t(4, @), #3)")),
        _pool(rank, *(name % "default" for name in nearest), doc="interpolation", samples=("op(t(B, 4, @), #5)",)),
        _pool(
            rank,
            *(name % "vec" for name in nearest),
            operand="input",
            doc="interpolation",
            samples=("op(t(B, 4, @), #5, None)", "op(t(B, 4, @), None, #2)"),
        ),
        _pool(rank, *targets, doc="interpolation", samples=("op(t(B, 4, @), #5, False)",)),
        _pool(
            rank,
            *by_name,
            operand="input",
            doc="interpolation",
            samples=("op(t(B, 4, @), #5, True, None)", "op(t(B, 4, @), None, False, #2)"),
        ),
        _pool(
            rank,
            f"reflection_pad{rank}d.default",
            f"replication_pad{rank}d.default",
            doc="padding",
            samples=(f"op(t(B, 4, @), {[1] * 2 * rank})", f"op(t(4, @), {[2] * 2 * rank})"),
        ),
    )


def _fractional(rank: int) -> Pattern:
    inside, outside = _WINDOWED[rank]
    return Pattern(
        targets=(f"aten.fractional_max_pool{rank}d.default",),
        signature=f"b c {inside}, b c r -> b c {outside}, b c {outside}",
        operands=("self", "random_samples"),
        pointwise="b c",
        zero="self",
        doc="fractional pooling",
        samples=(f"op(t(2, 4, {_SHAPES[rank]}), {[2] * rank}, {[3] * rank}, u(2, 4, {rank}))",),
    )


def _unpool(rank: int) -> Pattern:
    inside, outside = _WINDOWED[rank]
    return Pattern(
        targets=(f"aten.max_unpool{rank}d.default",),
        signature=f"*b {inside}, *b {inside} -> *b {outside}",
        operands=("self", "indices"),
        pointwise="*b",
        zero="self",
        doc="undoes max pooling",
        samples=(
            f"op(t(2, 4, 2{', 2' * (rank - 1)}), p(2, 4, 2{', 2' * (rank - 1)}), {[4] * rank}"
            + (f", {[2] * 3}, {[0] * 3})" if rank == 3 else ")"),
        ),
    )


RECORDS: tuple[Record, ...] = (
    *(record for rank in _WINDOWED for record in _for_rank(rank)),
    *(_fractional(rank) for rank in (2, 3)),
    *(_unpool(rank) for rank in (2, 3)),
    _pool(
        2,
        "_upsample_bilinear2d_aa.default",
        "_upsample_bicubic2d_aa.default",
        doc="interpolation",
        samples=("op(t(B, 4, @), #5, False)",),
    ),
    _pool(
        2,
        "_upsample_bilinear2d_aa.vec",
        "_upsample_bicubic2d_aa.vec",
        doc="interpolation",
        operand="input",
        samples=("op(t(B, 4, @), #5, False, None)",),
    ),
    Pattern(
        targets=("aten.grid_sampler.default",),
        signature="b c *s, b *t k -> b c *t",
        operands=("input", "grid"),
        pointwise="b c *t",
        ranks={"*s": "*t"},
        zero="input",
        reasons={"*s": "sampled from", "k": "coordinates"},
        doc="samples at given places",
        samples=("op(t(B, 4, 5, 5), t(B, 3, 2, 2), 0, 0, False)", "op(t(2, 4, 3, 3, 3), t(2, 2, 2, 2, 3), 1, 2, True)"),
    ),
    Pattern(
        targets=("aten.grid_sampler_2d.default",),
        signature="b c h w, b u v k -> b c u v",
        operands=("input", "grid"),
        pointwise="b c u v",
        zero="input",
        reasons={"h": "sampled from", "w": "sampled from", "k": "coordinates"},
        doc="samples at given places",
        samples=("op(t(B, 4, 5, 5), t(B, 3, 2, 2), 0, 1, False)",),
    ),
    Pattern(
        targets=("aten.grid_sampler_3d.default",),
        signature="b c d h w, b t u v k -> b c t u v",
        operands=("input", "grid"),
        pointwise="b c t u v",
        zero="input",
        reasons={**dict.fromkeys("dhw", "sampled from"), "k": "coordinates"},
        doc="samples at given places",
        samples=("op(t(B, 4, 3, 3, 3), t(B, 2, 2, 2, 3), 0, 1, False)",),
    ),
    Pattern(
        targets=("aten.affine_grid_generator.default",),
        signature="b r k -> b *t r",
        operands=("theta",),
        reasons={"b": "its size is an argument", "*t": "places", "r": "coordinates", "k": "coordinates"},
        zero="theta",
        doc="places to sample at",
        samples=("op(t(2, 2, 3), [2, 4, 5, 5], False)",),
    ),
    Pattern(
        targets=("aten.im2col.default",),
        signature="*b c h w -> *b (c k) l",
        pointwise="*b c",
        reasons=dict.fromkeys("hwkl", "sliding window"),
        zero="self",
        doc="unfolds windows",
        samples=("op(t(B, 4, 5, 5), [3, 3], [1, 1], [1, 1], [2, 2])", "op(t(4, 5, 5), [2, 2], [1, 1], [0, 0], [1, 1])"),
    ),
    Pattern(
        targets=("aten.col2im.default",),
        signature="*b (c k) l -> *b c h w",
        pointwise="*b c",
        reasons=dict.fromkeys("hwkl", "sliding window"),
        zero="self",
        doc="folds windows",
        samples=(
            "op(t(B, 36, 16), [4, 4], [3, 3], [1, 1], [1, 1], [1, 1])",
            "op(t(12, 4), [4, 4], [2, 2], [1, 1], [0, 0], [2, 2])",
        ),
    ),
)
