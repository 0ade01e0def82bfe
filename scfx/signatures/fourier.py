"""Fourier transforms and complex numbers: a transform mixes what lies along its dims, and leaves the others alone."""

from __future__ import annotations

from scfx.signatures.call import Call
from scfx.signatures.elementwise import Elementwise
from scfx.signatures.pattern import Pattern
from scfx.signatures.rearranging import letters_of
from scfx.signatures.record import Choice, Operator, Record

_WHY = "a Fourier transform runs along it"
_ONE_DIM = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
_SEVERAL_DIMS = ("fft", "ifft", "rfft", "irfft")


def _dims_of(call: Call, rank: int) -> tuple[int, ...]:
    """The dims that a transform runs along: the given ones, or the last ones that sizes are given for, or all."""
    given, sizes = call.arguments["dim"], call.arguments.get("s")
    if given is None and sizes is not None:
        return tuple(range(rank - len(sizes), rank))
    return call.dim_list("dim", rank)


def _transform(call: Call) -> Operator:
    """The transformed dims may change their size."""
    letters = letters_of(call.rank("self"))
    along = _dims_of(call, len(letters))
    made = [f"t{index}" if index in along else x for index, x in enumerate(letters)]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(letters)} -> {' '.join(made)}",
        pointwise=" ".join(x for index, x in enumerate(letters) if index not in along),
        reasons=dict.fromkeys([*(letters[index] for index in along), *(made[index] for index in along)], _WHY),
        zero="self",
    )


def _part(name: str, doc: str) -> Elementwise:
    return Elementwise(
        targets=(f"aten.{name}.default",), zero="self", makes_zeros=False, doc=doc, samples=("op(c(B, 4, 5))",)
    )


RECORDS: tuple[Record, ...] = (
    Choice(
        targets=tuple(f"aten.fft_{name}.default" for name in _ONE_DIM),
        doc="Fourier transform along a dim",
        choose=_transform,
        samples=("op(t(B, 4, 6), None, 1)", "op(t(3, 6))", "op(t(3, 4, 6), 5, -2)"),
    ),
    Choice(
        targets=tuple(f"aten.fft_{name}{rank}.default" for name in _SEVERAL_DIMS for rank in "2n"),
        doc="Fourier transform along several dims",
        choose=_transform,
        samples=("op(t(B, 4, 6, 3), None, [1, 2])", "op(t(3, 4, 6, 2), [4, 5], [2, -3])"),
    ),
    Choice(
        targets=("aten.fft_fftshift.default", "aten.fft_ifftshift.default"),
        doc="puts the lowest frequency in the middle, or back",
        choose=_transform,
        samples=("op(t(B, 4, 6), [1])", "op(t(3, 4, 6), [0, 2])"),
    ),
    _part("real", "real part"),
    _part("imag", "imaginary part"),
    _part("conj", "conjugate"),
    Pattern(
        targets=("aten.view_as_real.default",),
        signature="*b -> *b k",
        pointwise="*b",
        reasons={"k": "real and imaginary part"},
        zero="self",
        doc="complex numbers as pairs",
        samples=("op(c(B, 4, 5))",),
    ),
    Pattern(
        targets=("aten.view_as_complex.default",),
        signature="*b k -> *b",
        pointwise="*b",
        reasons={"k": "real and imaginary part"},
        zero="self",
        doc="pairs as complex numbers",
        samples=("op(t(B, 4, 2))",),
    ),
    Elementwise(
        targets=("aten.complex.default",),
        makes_zeros=False,
        doc="complex numbers of both parts",
        samples=("op(t(B, 4, 5), t(B, 4, 5))", "op(t(B, 4, 5), t(5))"),
    ),
    Elementwise(
        targets=("aten.polar.default",),
        zero="abs",
        makes_zeros=False,
        doc="complex numbers of length and angle",
        samples=("op(t(B, 4, 5), t(B, 4, 5))", "op(t(B, 4, 5), t(5))"),
    ),
)
