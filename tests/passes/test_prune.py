"""The pass that obeys a prune plan: arguments, counts, counted operators, and arithmetic on symbolic sizes."""

import torch
from torch import Tensor, nn

import scfx
from tests.passes.test_insert_quantizers import calls


class Heads(nn.Module):
    """Features split into heads by a view whose sizes depend on the batch, normed in groups, averaged over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.conv = nn.Conv1d(6, 8, 1)
        self.norm = nn.GroupNorm(2, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y = y.view(x.shape[0], 6, 1).expand(x.shape[0], 6, 5)
        y = self.norm(self.conv(y))
        result: Tensor = self.last(y.mean(2)) + y.mean((1, 2)).unsqueeze(1)
        return result


def test_sizes_counts_and_operators_change() -> None:
    net = scfx.compress(Heads().double(), torch.randn(3, 4, dtype=torch.float64), quantize=False).eval()
    x = torch.randn(5, 4, dtype=torch.float64)
    with torch.no_grad():
        net.get_parameter("first.weight")[2:4] = 0
        net.get_parameter("first.bias")[2:4] = 0
        for name in ("conv.weight", "conv.bias", "norm.weight", "norm.bias"):
            net.get_parameter(name)[[0, 4]] = 0
    expected = net(x)
    before = calls(net.graph_module.graph)
    report = net.prune()
    after = calls(net.graph_module.graph)
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [
        (
            "view = aten.reshape.default(linear, [sym_size_int_1, 6, 1])",
            "view = aten.reshape.default(linear, [sym_size_int_1, 4, 1])",
        ),
        (
            "expand = aten.expand.default(view, [sym_size_int_1, 6, 5])",
            "expand = aten.expand.default(view, [sym_size_int_1, 4, 5])",
        ),
        (
            "group_norm = aten.group_norm.default(conv1d, 2, p_norm_weight, p_norm_bias, 1e-05, False)",
            "group_norm = scfx.group_norm.default(conv1d, 2, p_norm_weight, p_norm_bias, 1e-05, False, 4)",
        ),
        ("mean_1 = aten.mean.dim(group_norm, [1, 2])", "mean_1 = scfx.mean.default(group_norm, [1, 2], False)"),
    ]
    assert [len(report.plan.edits[mode]) for mode in ("train", "eval")] == [4, 4]
    torch.testing.assert_close(net(x), expected, rtol=1e-12, atol=1e-12)


def test_a_second_round_keeps_the_first_count() -> None:
    net = scfx.compress(Heads().double(), torch.randn(3, 4, dtype=torch.float64), quantize=False).eval()
    x = torch.randn(5, 4, dtype=torch.float64)
    for channels in ([0, 4], [0, 3]):
        with torch.no_grad():
            for name in ("conv.weight", "conv.bias", "norm.weight", "norm.bias"):
                net.get_parameter(name)[channels] = 0
        expected = net(x)
        assert net.prune()
        torch.testing.assert_close(net(x), expected, rtol=1e-12, atol=1e-12)
    assert "group_norm.default(conv1d, 2, p_norm_weight, p_norm_bias, 1e-05, False, 4)" in net.graph_module.code


def test_symbolic_sizes_are_scaled() -> None:
    class Merged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x)
            flat = torch.relu(y.reshape(x.shape[0] * 6))
            result: Tensor = self.last(flat.reshape(x.shape[0], -1))
            return result

    net = scfx.compress(Merged().double(), torch.randn(3, 4, dtype=torch.float64), quantize=False)
    with torch.no_grad():
        net.get_parameter("first.weight")[:2] = 0
        net.get_parameter("first.bias")[:2] = 0
    x = torch.randn(5, 4, dtype=torch.float64)
    expected = net(x)
    assert net.prune()
    assert net.get_parameter("first.weight").shape == (4, 4)
    torch.testing.assert_close(net(x), expected, rtol=1e-12, atol=1e-12)


def test_a_symbolic_number_of_groups_is_scaled() -> None:
    class Routed(nn.Module):
        """A convolution with kernels of its own for each sample: samples and channels are groups together."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.kernels, self.last = nn.Conv1d(3, 6, 1), nn.Linear(3, 6 * 3), nn.Conv1d(6, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            kernels = self.kernels(x.mean(2)).view(-1, 1, 3)
            y = torch.conv1d(self.first(x).view(1, -1, x.shape[2]), kernels, padding=1, groups=x.shape[0] * 6)
            result: Tensor = self.last(y.view(x.shape[0], 6, -1))
            return result

    net = scfx.compress(Routed().double(), torch.randn(3, 3, 5, dtype=torch.float64), quantize=False)
    with torch.no_grad():
        for name in ("first.weight", "first.bias"):
            net.get_parameter(name)[2:4] = 0
        for name in ("kernels.weight", "kernels.bias"):
            net.get_parameter(name)[6:12] = 0
    for batch in (2, 5):
        x = torch.randn(batch, 3, 5, dtype=torch.float64)
        expected = net(x)
        net.prune()
        assert net.get_parameter("first.weight").shape == (4, 3, 1)
        torch.testing.assert_close(net(x), expected, rtol=1e-12, atol=1e-12)
