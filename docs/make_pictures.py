"""Draws a small residual network that compresses itself: its channel graph before and after, and its course.

Run `python docs/make_pictures.py` from the repository root, with the extra `demo` installed. It takes about a minute
and writes `docs/demo-graph.svg`, `docs/demo-graph-after.svg` and the pictures of `docs/plot.md`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import scfx

HERE = Path(__file__).resolve().parent
EPOCHS, SETTLING, BATCH, GAMMA, TRAINED_ON = 50, 10, 64, 0.6, 1400


class Block(nn.Module):
    """Two convolutions and a projection around them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Network(nn.Module):
    """A stem, one residual block and a classifier for the 8 x 8 digits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.block = Block(16, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.block(torch.relu(self.stem(x))).mean((2, 3))
        logits: Tensor = self.head(features)
        return logits


def main() -> None:
    """Draw, train, draw again."""
    torch.manual_seed(0)
    digits, target = load_digits(return_X_y=True)
    images = torch.tensor(digits, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    labels = torch.tensor(target)
    net = scfx.compress(Network(), images[:BATCH])
    net.eval().channels.render(HERE / "demo-graph.svg")
    optimizer = torch.optim.Adam(net.param_groups(lr=3e-3, quantizer_lr=0.1))
    notes = []
    depths = next(quantizer.bits for _, quantizer in net.quantizers())
    net.train()
    for epoch in range(EPOCHS):
        if epoch == EPOCHS - SETTLING:  # depths stay as they are, so that weights and running statistics can settle
            for group in optimizer.param_groups:
                group["lr"] = 0.0 if group["params"][0] is depths else group["lr"] / 10
        for batch in torch.randperm(TRAINED_ON).split(BATCH):
            loss = cross_entropy(net(images[batch]), labels[batch]) + GAMMA * net.size()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            net.update(optimizer)
        notes.append(net.left().scalars() | {"epoch": epoch + 1, "accuracy": share_right(net, images, labels)})
        net.train()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}, {net.size().item():.2f} bits per original weight")
    print(net.prune(optimizer))
    print(f"{share_right(net, images, labels):.1f} % of the other {len(images) - TRAINED_ON} digits are read right")
    net.channels.render(HERE / "demo-graph-after.svg")
    scfx.plot.widths(net, path=HERE / "plot-widths.svg")
    scfx.plot.bits(net, path=HERE / "plot-bits.svg")
    panels = {
        "digits read right, %": ["accuracy"],
        "bits per weight": ["bits_per_weight"],
        "left": ["weights_left", "channels_left"],
    }
    scfx.plot.history(notes, over="epoch", panels=panels, path=HERE / "plot-history.svg")


def share_right(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """How many of the digits that it has not seen the network reads right, in percent. It is left in eval mode."""
    right = net.eval()(images[TRAINED_ON:]).argmax(1) == labels[TRAINED_ON:]
    return float(100 * right.float().mean())


if __name__ == "__main__":
    main()
