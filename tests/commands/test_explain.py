"""`scfx explain`."""

import pytest

from scfx.commands.explain import _folded
from tests.commands.calling import call, refused


def test_a_dim_is_explained(models: str) -> None:
    ended = call("explain", f"{models}:bare", "0.weight", "0", "--input", "2x4")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("0.weight, dimension 0, of size 5: one axis\n\n5 channels, prunable\n")
    assert (
        call("explain", f"{models}:bare", "0.weight[-2]", "--input", "2x4").out.splitlines()[1:]
        == (ended.out.splitlines()[1:])
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["0.wait", "0"], "no parameter or buffer is called '0.wait'; the nearest are '0.weight'"),
        (["0.weight", "2"], "0.weight has 2 dimensions (5 x 4), there is no dimension 2"),
        (["0.weight"], "which dimension? Write 0.weight[0]"),
        (["0.weight[1]", "1"], "which dimension? Write 0.weight[0]"),
    ],
)
def test_what_is_not_there_is_wrong_usage(models: str, arguments: list[str], message: str) -> None:
    assert message in refused("explain", f"{models}:bare", *arguments, "--input", "2x4", status=2)


def test_long_lines_are_folded_under_their_beginning() -> None:
    assert _folded("  a few words", 8) == "  a few\n    words"
    assert _folded("", 8) == ""
