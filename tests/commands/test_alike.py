"""Layers that repeat are said once."""

from scfx.commands.alike import alike


def test_names_that_differ_in_numbers_are_one_line() -> None:
    sizes = {"blocks.0.fc.weight": 4, "head.0.weight": 4, "blocks.1.fc.weight": 4, "blocks.2.fc.weight": 8}
    found = alike(sizes, str, sizes.__getitem__)
    assert found == [
        ("blocks.*.fc.weight", ["blocks.0.fc.weight", "blocks.1.fc.weight"]),
        ("head.0.weight", ["head.0.weight"]),
        ("blocks.2.fc.weight", ["blocks.2.fc.weight"]),
    ]


def test_numbers_that_are_the_same_and_those_in_words_stay() -> None:
    names = ["0.layers.0.1.conv2.weight[0]", "0.layers.11.1.conv2.weight[0]"]
    assert alike(names, str, lambda _: None) == [("0.layers.*.1.conv2.weight[0]", names)]
    others = ["conv1.weight[0]", "conv2.weight[0]", "conv1.weight[1]"]
    assert [name for name, _ in alike(others, str, lambda _: None)] == others
