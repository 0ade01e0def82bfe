"""Networks on sequences without attention: recurrent ones, and dilated convolutions."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Tagger(nn.Module):
    """A bidirectional LSTM that gives each word a tag."""

    def __init__(self, layers: int = 1, words: int = 11) -> None:
        super().__init__()
        self.words = nn.Embedding(words, 12)
        self.lstm = nn.LSTM(12, 16, num_layers=layers, batch_first=True, bidirectional=True)
        self.tags = nn.Linear(32, 4)

    def forward(self, ids: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.words(ids))
        tags: Tensor = self.tags(torch.relu(hidden))
        return tags


class LastState(nn.Module):
    """The last states of an LSTM or a GRU in two layers classify a sequence."""

    def __init__(self, kind: Callable[..., nn.RNNBase], **options: bool) -> None:
        super().__init__()
        self.project = nn.Linear(5, 8)
        self.recurrent = kind(8, 12, num_layers=2, **options)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.recurrent(self.project(x).transpose(0, 1))
        last = state[0][-1] if isinstance(state, tuple) else state[-1]
        logits: Tensor = self.head(last)
        return logits


class Recurrence(nn.Module):
    """A recurrent cell, written out and run in a loop."""

    def __init__(self, inputs: int = 4, hidden: int = 16) -> None:
        super().__init__()
        self.hidden = hidden
        self.new = nn.Linear(inputs + hidden, hidden)
        self.update = nn.Linear(inputs + hidden, hidden)
        self.head = nn.Linear(hidden, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[0], self.hidden)
        outputs = []
        for step in range(x.shape[1]):
            both = torch.cat([x[:, step], h], dim=1)
            gate = torch.sigmoid(self.update(both))
            h = gate * h + (1 - gate) * torch.tanh(self.new(both))
            outputs.append(self.head(h))
        return torch.stack(outputs, dim=1)


class Cells(nn.Module):
    """The cells of torch in a loop: an LSTM's, a GRU's and a plain one."""

    def __init__(self, width: int = 10) -> None:
        super().__init__()
        self.lstm = nn.LSTMCell(4, width)
        self.gru = nn.GRUCell(width, width)
        self.rnn = nn.RNNCell(width, width)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = c = g = r = x.new_zeros(x.shape[0], self.lstm.hidden_size)
        for step in x.unbind(1):
            h, c = self.lstm(step, (h, c))
            g = self.gru(h, g)
            r = self.rnn(g, r)
        logits: Tensor = self.head(r)
        return logits


class WaveNet(nn.Module):
    """Dilated causal convolutions with gates, residual and skip connections."""

    def __init__(self, levels: int = 16, width: int = 12, skip: int = 20) -> None:
        super().__init__()
        self.embedding = nn.Embedding(levels, width)
        self.gated = nn.ModuleList([nn.Conv1d(width, 2 * width, 2, dilation=2**i) for i in range(3)])
        self.residual = nn.ModuleList([nn.Conv1d(width, width, 1) for _ in range(3)])
        self.skip = nn.ModuleList([nn.Conv1d(width, skip, 1) for _ in range(3)])
        self.end = nn.Sequential(nn.ReLU(), nn.Conv1d(skip, skip, 1), nn.ReLU(), nn.Conv1d(skip, levels, 1))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids).transpose(1, 2)
        total: Tensor | int = 0
        for level, (gated, residual, skip) in enumerate(zip(self.gated, self.residual, self.skip, strict=True)):
            inside, gate = gated(F.pad(x, (2**level, 0))).chunk(2, dim=1)
            y = torch.tanh(inside) * torch.sigmoid(gate)
            x = x + residual(y)
            total = total + skip(y)
        logits: Tensor = self.end(total)
        return logits
