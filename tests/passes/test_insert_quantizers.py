"""The pass that inserts quantizers: one node after each weight, one quantizer for all its uses."""

import torch
from torch import Tensor, nn

from scfx.capture.capture import capture
from scfx.passes.insert_quantizers import InsertQuantizers


class Twice(nn.Module):
    """One layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(torch.relu(self.layer(x)))
        return result


def calls(graph: torch.fx.Graph) -> list[str]:
    """The program, one line a call."""
    return [
        f"{node.name} = {node.target}({', '.join(str(arg) for arg in node.args)})"
        for node in graph.nodes
        if node.op.startswith("call")
    ]


def test_every_use_goes_through_the_quantizer() -> None:
    program = capture(Twice(), torch.randn(3, 4))
    program.root.get_submodule("layer").add_module("weight_quantizer", nn.Identity())
    graph = program.graphs["eval"]
    assert calls(graph) == [
        "linear = aten.linear.default(x, p_layer_weight, p_layer_bias)",
        "relu = aten.relu.default(linear)",
        "linear_1 = aten.linear.default(relu, p_layer_weight, p_layer_bias)",
    ]
    insert = InsertQuantizers({"layer.weight": "layer.weight_quantizer"})
    assert insert(graph, program.root) == 1
    assert calls(graph) == [
        "layer_weight_quantizer = layer.weight_quantizer(p_layer_weight)",
        "linear = aten.linear.default(x, layer_weight_quantizer, p_layer_bias)",
        "relu = aten.relu.default(linear)",
        "linear_1 = aten.linear.default(relu, layer_weight_quantizer, p_layer_bias)",
    ]
    made = next(node for node in graph.nodes if node.op == "call_module")
    assert made.meta["shape"] == (4, 4)
    assert insert(graph, program.root) == 0
