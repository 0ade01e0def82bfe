"""Sums become merges where they are named, and sums again where they aren't."""

import torch
from torch import Tensor, nn

from scfx.passes.separate_branches import SeparateBranches
from tests.passes.tools import Captured, captured, program


class Sums(nn.Module):
    """Two residual sums, the first one scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.one(x)
        result: Tensor = y + self.two(y)
        return result


def sums() -> Captured:
    result = captured(Sums(), torch.randn(3, 4))
    for node in result.graph.nodes:
        node.meta["shape"] = tuple(getattr(node.meta.get("val"), "shape", ()))
    return result


def calls(given: Captured) -> list[str]:
    return [line for line in program(given.graph) if line.startswith("add")]


def test_what_is_named_becomes_a_merge() -> None:
    given = sums()
    separate = SeparateBranches({"add_1": 1})
    x = torch.randn(5, 4)
    before = given.call(x)
    assert given.apply([separate]) == 1
    assert calls(given) == ["add = add.Tensor(x, linear)", "add_1 = scfx.merge.default(add, linear_1, 1, 4)"]
    assert given.apply([separate]) == 0
    assert torch.equal(given.call(x)[0], before[0])


def test_what_is_not_named_becomes_a_sum_again_unless_it_lacks_channels() -> None:
    given = sums()
    given.apply([SeparateBranches({"add": 1, "add_1": 1})])
    merge = next(node for node in given.graph.nodes if node.name == "add_1")
    merge.args = (*merge.args, None, [0, 1, 2, 3])
    assert given.apply([SeparateBranches({})]) == 1
    assert calls(given) == [
        "add = add.Tensor(x, linear)",
        "add_1 = scfx.merge.default(add, linear_1, 1, 4, None, [0, 1, 2, 3])",
    ]
