"""A table that several operators read: each reading that is asked for gets a node of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scfx.passes.own_tables import OwnTables, Reading
from tests.passes.tools import captured, program


class Reader(nn.Module):
    def forward(self, x: Tensor) -> Any:
        table = torch.ones(3, 4).cos()
        return x * table, x + table, x - table


def parts(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if "cos" in line or "part" in line]


def test_readers_named_together_share_a_part_and_dims_come_one_after_the_other() -> None:
    toy = captured(Reader(), torch.randn(2, 3, 4))
    x = torch.randn(5, 3, 4)
    before = toy.call(x)
    step = OwnTables((Reading("cos", 1, ("mul", "add")), Reading("cos", 0, ("add", "sub"))))
    assert toy.apply([step]) == 3
    made = {node.name: [str(source) for source in node.all_input_nodes] for node in toy.graph.nodes}
    chains = {name: made[name][1:] for name in ("mul", "add", "sub")}
    shared = chains["mul"][0]
    assert made[shared] == ["cos"]
    assert made[chains["add"][0]] == [shared]
    assert made[chains["sub"][0]] == ["cos"]
    assert [line for line in program(toy.graph) if "part.default" in line and "(cos, 1)" in line]
    for one, other in zip(toy.call(x), before, strict=True):
        assert torch.equal(one, other)
    assert toy.apply([step]) == 0
