"""What is made of parameters and buffers alone is made once, where that takes no more room."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import scfx


class Computed(nn.Module):
    """Weights that are computed: normed, tied to another one in part, larger than what they are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.normed = parametrizations.weight_norm(nn.Linear(4, 6))
        self.tied, self.row = nn.Parameter(torch.randn(6, 6)), nn.Parameter(torch.randn(6))
        self.register_buffer("table", torch.randn(1, 6))
        self.out = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = torch.tanh(self.normed(x)) @ (self.tied * 2)
        y = torch.tanh(y @ self.tied + self.row.exp().expand(6, 6).cumsum(0)[2])
        return self.out(y * self.get_buffer("table").square()), self.get_buffer("table") + 1


def test_what_takes_no_more_room_is_computed_once() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, dtype=torch.float64)
    net = scfx.compress(Computed().double(), x, quantize=False).eval()
    whole, folded = net.finalize(fold=False), net.finalize()
    for found, expected in zip(folded(x), whole(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    targets = [str(node.target).removeprefix("aten.") for node in folded.graph.nodes if node.op == "call_function"]
    assert not [name for name in targets if name.startswith(("_weight_norm", "exp.", "expand", "cumsum", "select"))]
    assert [name for name in targets if name.startswith("mul")] == ["mul.Tensor"] * 2, "what is tied isn't doubled"
    shapes = {name: tuple(tensor.shape) for name, tensor in folded.named_parameters()}
    assert "tied" in shapes
    assert not [name for name in shapes if "parametrizations.weight" in name or name == "row"]
    assert sorted(shape for name, shape in shapes.items() if name.startswith("computed_")) == [(6,), (6, 4)]
    assert folded(x)[1] is not folded(x)[1], "the caller may write to it"
