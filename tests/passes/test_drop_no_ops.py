"""What returns what it is given goes, and nothing else."""

import torch
from torch import Tensor, nn

import scfx
from scfx.passes.drop_no_ops import DropNoOps


class Idle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.out = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        y = torch.relu(self.layer(x)).clone()
        y = torch.tanh(1.0 * (0 + y) / 1 - 0) ** 1
        y = y.reshape(x.shape[0], 5, 6).flatten(1, 1).transpose(1, -2).permute(0, 1, -1)[:, 0:].expand(-1, 5, -1)
        hidden = torch.relu(y.squeeze(1))
        seen = (mask.bool() & torch.ones(5, dtype=torch.bool)).to(torch.bool)
        return self.out(hidden.masked_fill(~seen[..., None], 0)), hidden.transpose(1, 1)


class Busy(nn.Module):
    """Each of these does something, if not to every value, or is what the caller gets."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.register_buffer("ones", torch.ones(4))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        y = torch.relu(self.layer(x))
        square = y[:, :4].transpose(1, 2).permute(0, 2, 1).transpose(1, 2) * self.get_buffer("ones")
        numbers = (mask & torch.ones(5, dtype=torch.bool)) * 1.0
        return 1 - square, (0 * square) ** 2, x * 1, 2 / y[..., :1].float().exp(), numbers + 1, y.flip(2)[:, 1:]


def test_what_does_nothing_goes() -> None:
    torch.manual_seed(0)
    x, mask = torch.randn(3, 5, 4), torch.tensor([[1, 0, 2, 1, 1]]).expand(3, 5)
    net = scfx.compress(Idle(), (x, mask), quantize=False).eval()
    whole, folded = net.finalize(fold=False), net.finalize()
    for found, expected in zip(folded(x, mask), whole(x, mask), strict=True):
        assert torch.equal(found, expected)
    calls = [str(node.target) for node in folded.graph.nodes if node.op == "call_function"]
    assert [call.split(".")[1] for call in calls] == [
        "linear", "relu", "tanh", "relu", "to", "unsqueeze", "bitwise_not", "masked_fill", "linear", "transpose"
    ]  # fmt: skip


def test_what_does_something_stays() -> None:
    torch.manual_seed(0)
    x, mask = torch.randn(3, 5, 4), torch.tensor([[1, 0, 2, 1, 1]]).expand(3, 5)
    net = scfx.compress(Busy(), (x, mask), quantize=False).eval()
    whole = net.finalize(fold=False)
    assert DropNoOps()(whole.graph, whole) == 0
