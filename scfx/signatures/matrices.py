"""Operators on square matrices as wholes: a matrix that has lost a row has another determinant."""

from __future__ import annotations

from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Record

_WHY = "the matrix is one whole"


def _whole(doc: str, operand: str, result: str, *names: str) -> Pattern:
    """Matrices are independent of each other, and nothing within one is."""
    return Pattern(
        targets=tuple(f"aten.{name}.default" for name in names),
        signature=f"*b n m -> {result}",
        operands=(operand,),
        pointwise="*b",
        reasons={"n": _WHY, "m": _WHY},
        doc=doc,
        samples=("op(t(3, 3))", "op(t(B, 2, 3, 3))"),
    )


RECORDS: tuple[Record, ...] = (
    _whole("determinant", "self", "*b", "det"),
    _whole("determinant", "A", "*b", "linalg_det"),
    _whole("sign and logarithm of the determinant", "self", "*b, *b", "slogdet"),
    _whole("sign and logarithm of the determinant", "A", "*b, *b", "linalg_slogdet"),
    _whole("exponential of a matrix", "self", "*b n m", "matrix_exp", "linalg_matrix_exp"),
)
