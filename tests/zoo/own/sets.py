"""Networks on points, sets and patches."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Alignment(nn.Module):
    """PointNet's small network that says by which matrix to turn its input."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.points = nn.Sequential(nn.Conv1d(size, 16, 1), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, 32, 1))
        self.matrix = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, size * size))

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.max(self.points(x), 2)[0]
        unit = torch.eye(self.size, dtype=x.dtype, device=x.device).flatten()
        matrix: Tensor = self.matrix(pooled) + unit
        return matrix.view(-1, self.size, self.size)


class PointNet(nn.Module):
    """Points are turned, each becomes features, the features are turned, and the largest of each is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.align_points, self.align_features = Alignment(3), Alignment(12)
        self.first = nn.Sequential(nn.Conv1d(3, 12, 1), nn.BatchNorm1d(12), nn.ReLU())
        self.second = nn.Sequential(nn.Conv1d(12, 32, 1), nn.BatchNorm1d(32))
        self.head = nn.Sequential(nn.Linear(32, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.bmm(x.transpose(2, 1), self.align_points(x)).transpose(2, 1)
        x = self.first(x)
        turn = self.align_features(x)
        x = torch.bmm(x.transpose(2, 1), turn).transpose(2, 1)
        x = torch.max(self.second(x), 2, keepdim=True)[0].view(-1, 32)
        return F.log_softmax(self.head(x), dim=-1), turn


class DeepSets(nn.Module):
    """A function of a set: each element encoded, the sum decoded; a mask says which elements are there."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 24), nn.Tanh())
        self.decode = nn.Sequential(nn.Linear(24, 12), nn.ReLU(), nn.Linear(12, 2))

    def forward(self, elements: Tensor, mask: Tensor) -> Tensor:
        total = (self.encode(elements) * mask.unsqueeze(-1)).sum(dim=1)
        y: Tensor = self.decode(total)
        return y


class Mixer(nn.Module):
    """An MLP-mixer: layers across patches and layers across channels, in turn."""

    def __init__(self, width: int = 24, patches: int = 16, depth: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, 4)
        self.tokens = nn.ModuleList(
            [nn.Sequential(nn.Linear(patches, 20), nn.GELU(), nn.Linear(20, patches)) for _ in range(depth)]
        )
        self.channels = nn.ModuleList(
            [nn.Sequential(nn.Linear(width, 48), nn.GELU(), nn.Linear(48, width)) for _ in range(depth)]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2 * depth + 1)])
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        for i, (tokens, channels) in enumerate(zip(self.tokens, self.channels, strict=True)):
            x = x + tokens(self.norms[2 * i](x).transpose(1, 2)).transpose(1, 2)
            x = x + channels(self.norms[2 * i + 1](x))
        logits: Tensor = self.head(self.norms[-1](x).mean(dim=1))
        return logits
