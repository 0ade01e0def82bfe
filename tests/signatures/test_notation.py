"""The notation of signatures."""

from __future__ import annotations

import pytest

from scfx.signatures import FAMILIES
from scfx.signatures.notation import NotationError, read
from scfx.signatures.pattern import Pattern


def test_a_signature_is_read() -> None:
    signature = read("b (g i) *s, (g o) i *k, (g o) -> b (g o) *t")
    assert signature.operands[0] == (("b",), ("g", "i"), ("*s",))
    assert signature.results == ((("b",), ("g", "o"), ("*t",)),)
    assert signature.stars() == {"*s", "*k", "*t"}


@pytest.mark.parametrize(
    "text", ["b (g i) *s, (g o) -> b (g o) *t", "m k, k n -> m n", "1 d0 -> n0 d0", "*b h -> *b u, *b u"]
)
def test_a_signature_prints_as_it_was_written(text: str) -> None:
    assert str(read(text)) == text


def test_stars_are_written_out() -> None:
    assert str(read("b *s, 1 -> *s b").expanded({"*s": 2})) == "b s0 s1, 1 -> s0 s1 b"
    assert str(read("b *s -> b").expanded({"*s": 0})) == "b -> b"


def test_operands_may_have_no_dims() -> None:
    assert read("k, k -> ").results == ((),)
    assert read(" -> n").operands == ((),)
    assert read("*b,  -> *b").operands == ((("*b",),), ())


@pytest.mark.parametrize(
    ("text", "blamed"),
    [
        ("b c", "one '->'"),
        ("b -> c -> d", "one '->'"),
        ("b c! -> b", "'!'"),
        ("b 2 -> b", "'2'"),
        ("*s *t -> *s", "two starred letters"),
    ],
)
def test_a_signature_that_cannot_be_read_says_why(text: str, blamed: str) -> None:
    with pytest.raises(NotationError, match=blamed.replace("*", r"\*")):
        read(text)


def test_every_letter_of_a_kind_stands_in_its_signature() -> None:
    for family in FAMILIES:
        for record in family.RECORDS:
            if isinstance(record, Pattern):
                signature = read(record.signature)
                letters = {
                    x for side in (signature.operands, signature.results) for dims in side for dim in dims for x in dim
                }
                named = f"{record.pointwise} {record.contract} {record.statistic} {record.free}".split()
                assert set(named) | set(record.sizes) <= letters, record.targets
                assert len(named) == len(set(named)), record.targets
