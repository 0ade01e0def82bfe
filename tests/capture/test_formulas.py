"""Models whose free sizes become long formulas are captured with the batch size alone free."""

import pytest
import torch
from torch import Tensor, nn

import scfx


class Windows(nn.Module):
    """Pads a sequence to whole windows and averages pairs of them, several times."""

    def __init__(self, stages: int) -> None:
        super().__init__()
        self.stages = stages
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        for _ in range(self.stages):
            x = nn.functional.pad(x, (0, 0, 0, -x.shape[1] % 3))
            windows = x.reshape(x.shape[0], x.shape[1] // 3, 3, 4)
            x = torch.cat([windows[:, :, 0] + windows[:, :, 2], windows[:, :, 1]], 1)
        return x.sum(1)


@pytest.mark.parametrize(("stages", "free"), [(1, True), (6, False)])
def test_the_length_is_free_while_formulas_are_short(stages: int, free: bool) -> None:
    model = Windows(stages)
    net = scfx.compress(model, torch.randn(2, 20, 4), quantize=False)
    batch = torch.randn(5, 20, 4)
    torch.testing.assert_close(net(batch), model(batch))
    longer = torch.randn(3, 31, 4)
    if free:
        torch.testing.assert_close(net(longer), model(longer))
    else:
        with pytest.raises(scfx.InputError, match="31"):
            net(longer)
