"""Operators with a setting of autocast of their own are written as regions that torch knows."""

import torch
from torch import fx, nn

from scfx.nodes.autocasting import under
from scfx.passes.write_out_autocast import WriteOutAutocast


def test_each_operator_is_in_a_region_of_its_own() -> None:
    root, graph = nn.Module(), fx.Graph()
    x = graph.placeholder("x")
    exact = graph.call_function(under(torch.ops.aten.matmul.default, (False, None)), (x, x))
    joined = graph.call_function(under(torch.ops.aten.einsum.default, (True, torch.float16)), ("ij,jk->ik", [exact, x]))
    graph.output((exact, joined))
    assert WriteOutAutocast()(graph, root) == 2
    assert WriteOutAutocast()(graph, root) == 0
    module = fx.GraphModule(root, graph)
    assert "scfx" not in module.code
    value = torch.randn(3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        first, second = module(value)
    assert torch.equal(first, value @ value)
    assert torch.equal(second, first.half() @ value.half())


def test_the_library_is_left_to_be_written_out() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    norm = graph.call_function(under(torch.ops.scfx.rms_norm.default, (False, None)), (x, [3], None, 1e-5, 4))
    graph.output(norm)
    assert WriteOutAutocast()(graph, nn.Module()) == 1
    assert norm.target is torch.ops.scfx.rms_norm.default
