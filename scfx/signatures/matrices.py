"""Operators on matrices as wholes: a matrix that has lost a row has another determinant, inverse and other factors."""

from __future__ import annotations

from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Record

_WHY = "the matrix is one whole"
_ANY, _DEFINITE = ("op(t(3, 3))", "op(t(B, 2, 3, 3))"), ("op(d(3, 3))", "op(d(B, 2, 3, 3))")


def _whole(
    doc: str,
    signature: str,
    *targets: str,
    operands: tuple[str, ...] = ("self",),
    samples: tuple[str, ...] = _ANY,
) -> Pattern:
    """Matrices are independent of each other, and nothing within one is."""
    return Pattern(
        targets=tuple(f"aten.{target}" if "." in target else f"aten.{target}.default" for target in targets),
        signature=signature,
        operands=operands,
        pointwise="*b",
        reasons=dict.fromkeys("nmkjrs", _WHY),
        doc=doc,
        samples=samples,
    )


_SOLVE = ("op(d(3, 3), t(3, 2))", "op(d(B, 2, 3, 3), t(B, 2, 3, 4))")

RECORDS: tuple[Record, ...] = (
    _whole("determinant", "*b n m -> *b", "det"),
    _whole("determinant", "*b n m -> *b", "linalg_det", operands=("A",)),
    _whole("sign and logarithm of the determinant", "*b n m -> *b, *b", "slogdet"),
    _whole("sign and logarithm of the determinant", "*b n m -> *b, *b", "linalg_slogdet", operands=("A",)),
    _whole("exponential of a matrix", "*b n m -> *b n m", "matrix_exp", "linalg_matrix_exp"),
    _whole("inverse of a matrix", "*b n m -> *b m n", "inverse", samples=_DEFINITE),
    _whole("inverse of a matrix", "*b n m -> *b m n", "linalg_inv", operands=("A",), samples=_DEFINITE),
    _whole(
        "pseudo-inverse of a matrix",
        "*b n m -> *b m n",
        "linalg_pinv",
        "linalg_pinv.atol_rtol_float",
        "linalg_pinv.atol_rtol_tensor",
        samples=(
            "linalg_pinv.default(d(3, 3), 1e-9)",
            "linalg_pinv.atol_rtol_float(d(B, 2, 3, 3))",
            "linalg_pinv.atol_rtol_tensor(d(3, 3))",
        ),
    ),
    _whole(
        "power of a matrix",
        "*b n m -> *b n m",
        "linalg_matrix_power",
        "matrix_power",
        samples=("op(t(3, 3), 3)", "op(t(B, 2, 3, 3), 2)"),
    ),
    _whole("Cholesky factor", "*b n m -> *b n m", "linalg_cholesky", "cholesky", samples=_DEFINITE),
    _whole("inverse from the Cholesky factor", "*b n m -> *b n m", "cholesky_inverse", samples=_DEFINITE),
    _whole("eigenvalues", "*b n m -> *b s", "linalg_eigvalsh", samples=_DEFINITE),
    _whole("eigenvalues", "*b n m -> *b s", "linalg_eigvals", samples=_DEFINITE),
    _whole("eigenvalues and eigenvectors", "*b n m -> *b s, *b k j", "linalg_eigh", samples=_DEFINITE),
    _whole("eigenvalues and eigenvectors", "*b n m -> *b s, *b k j", "linalg_eig", samples=_DEFINITE),
    _whole("singular values", "*b n m -> *b s", "linalg_svdvals", operands=("A",), samples=_DEFINITE),
    _whole(
        "singular value decomposition",
        "*b n m -> *b k j, *b s, *b r m",
        "linalg_svd",
        operands=("A",),
        samples=_DEFINITE,
    ),
    _whole("QR decomposition", "*b n m -> *b k j, *b r m", "linalg_qr", operands=("A",), samples=_DEFINITE),
    _whole("LU decomposition", "*b n m -> *b k j, *b r s, *b s m", "linalg_lu", operands=("A",), samples=_DEFINITE),
    _whole(
        "solution of linear equations",
        "*b n m, *b k r -> *b j r",
        "linalg_solve",
        operands=("A", "B"),
        samples=_SOLVE,
    ),
    _whole(
        "solution of triangular equations",
        "*b n m, *b k r -> *b j r",
        "linalg_solve_triangular",
        operands=("self", "B"),
        samples=("op(d(3, 3), t(3, 2), upper=True)", "op(d(B, 2, 3, 3), t(B, 2, 3, 4), upper=False)"),
    ),
    _whole(
        "solution from the Cholesky factor",
        "*b k r, *b n m -> *b j r",
        "cholesky_solve",
        operands=("self", "input2"),
        samples=("op(t(3, 2), d(3, 3))", "op(t(B, 2, 3, 4), d(B, 2, 3, 3))"),
    ),
)
