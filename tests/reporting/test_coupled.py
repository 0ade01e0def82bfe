"""How much lies on each axis."""

from tests.graphs import graph_of


def test_entries_on_an_axis_are_counted_once() -> None:
    report = graph_of("residual").report()
    groups = {group.name: group for group in report.coupled}
    # stem.0: 8 x 1 x 3 x 3; the trunk of width 8 is both ends of block1, and the near end of block2.
    trunk = groups["stem.0.weight[0]"]
    assert trunk.channels == 8
    assert trunk.pinned is None
    assert trunk.entries == 8 * 9 + 8 + 8 * 2 + 2 * 64 * 9 + 8 * 2 + 16 * 8 * 9 + 16 * 8
    assert [group.entries for group in report.coupled] == sorted((g.entries for g in report.coupled), reverse=True)


def test_of_a_concatenation_only_its_part_counts_and_windows_do_not() -> None:
    report = graph_of("residual").report()
    groups = {group.name: group for group in report.coupled}
    assert groups["branch.weight[0]"].entries == 8 * 16 * 9 + 8 + 10 * 8
    assert groups["head.weight[0]"].pinned == "model output"
    assert groups["head.weight[0]"].entries == 240 + 10
    assert not any(group.name.endswith(("[2]", "[3]")) for group in report.coupled)
