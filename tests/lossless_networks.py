"""One tiny network of each kind that must train the same whenever its channels are removed, and optimizers for it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

import scfx

VOCABULARY, LENGTH, CLASSES = 11, 5, 4


class Convolutional(nn.Module):
    """Residual, with batch norm; for (batch, 2, 5, 5) images."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.body, self.body_norm = nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.back = nn.Conv2d(8, 6, 1)
        self.hidden, self.head = nn.Linear(6, 10), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem_norm(self.stem(x)))
        x = x + self.back(torch.relu(self.body_norm(self.body(x))))
        result: Tensor = self.head(torch.relu(self.hidden(x.mean((2, 3)))))
        return result


class Transformer(nn.Module):
    """One layer, with its norms before (pre-norm) or behind (post-norm) its two branches; for token numbers."""

    def __init__(self, pre: bool) -> None:
        super().__init__()
        self.pre = pre
        self.embedding = nn.Embedding(VOCABULARY, 8)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.up, self.down = nn.Linear(8, 12), nn.Linear(12, 8)
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.head = nn.Linear(8, CLASSES)

    def _attention(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        result: Tensor = self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return result

    def _feed(self, x: Tensor) -> Tensor:
        result: Tensor = self.down(functional.gelu(self.up(x)))
        return result

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x)
        if self.pre:
            x = x + self._attention(self.norm1(x))
            x = x + self._feed(self.norm2(x))
        else:
            x = self.norm1(x + self._attention(x))
            x = self.norm2(x + self._feed(x))
        result: Tensor = self.head(x.mean(1))
        return result


class Decoder(nn.Module):
    """Grouped queries, RMS norms, a gated feed-forward, and an embedding that is the head, too; for token numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 8)
        self.query, self.key, self.value = (nn.Linear(8, size, bias=False) for size in (16, 8, 8))
        self.out = nn.Linear(16, 8, bias=False)
        self.gate, self.up, self.down = (nn.Linear(*sizes, bias=False) for sizes in ((8, 12), (8, 12), (12, 8)))
        self.norm1, self.norm2, self.norm3 = (nn.RMSNorm(8) for _ in range(3))
        self.head = nn.Linear(8, VOCABULARY, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x)
        y = self.norm1(x)
        q, k, v = (layer(y).unflatten(-1, (-1, 4)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        k, v = (z.unsqueeze(2).expand(-1, -1, 2, -1, -1).flatten(1, 2) for z in (k, v))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        y = self.norm2(x)
        x = x + self.down(functional.silu(self.gate(y)) * self.up(y))
        result: Tensor = self.head(self.norm3(x))
        return result


def batch(kind: str, seed: int, count: int = 4) -> tuple[Tensor, Tensor]:
    """Random inputs and classes for one of `MODELS`."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "convolutional":
        x = torch.randn(count, 2, 5, 5, generator=generator, dtype=torch.float64)
    else:
        x = torch.randint(VOCABULARY, (count, LENGTH), generator=generator)
    if kind == "decoder":
        return x, x.roll(-1, 1)
    return x, torch.randint(CLASSES, (count,), generator=generator)


def build(kind: str) -> nn.Module:
    """One of `MODELS`, in float64, always with the same weights."""
    torch.manual_seed(0)
    return MODELS[kind]().double()


MODELS = {
    "convolutional": Convolutional,
    "pre-norm": lambda: Transformer(pre=True),
    "post-norm": lambda: Transformer(pre=False),
    "decoder": Decoder,
}


Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

#: Each with settings that count: decay, momentum, the average of gradients.
OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 2e-3, weight_decay=0.01, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, 2e-3, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 1e-3, momentum=0.5, centered=True, weight_decay=0.01),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.01, weight_decay=0.01),
    "nadam": lambda p: torch.optim.NAdam(p, 2e-3, weight_decay=0.01),
    "radam": lambda p: torch.optim.RAdam(p, 2e-3, weight_decay=0.01),
    "adafactor": lambda p: torch.optim.Adafactor(p, 2e-2, weight_decay=0.1),
    "muon": lambda p: torch.optim.Muon(p, 5e-3, weight_decay=0.1),
}


@cache
def captured(kind: str) -> scfx.CompressedModule:
    """A compressed network that some channels will leave: their depths differ at the start."""
    net = scfx.compress(build(kind), batch(kind, 0)[0])
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, quantizer in net.quantizers():
            quantizer.bits.copy_(
                torch.tensor([1.0, 2.0, 8.0])[torch.randint(3, quantizer.bits.shape, generator=generator)]
            )
    return net


def fresh(kind: str, prune_every: int | None = None) -> scfx.CompressedModule:
    net = copy.deepcopy(captured(kind))
    net.prune_every = prune_every
    return net


def own(net: scfx.CompressedModule) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The model's own parameters, and those of the quantizers."""
    quantizers = [parameter for _, quantizer in net.quantizers() for parameter in quantizer.parameters()]
    known = {id(parameter) for parameter in quantizers}
    return [parameter for parameter in net.parameters() if id(parameter) not in known], quantizers


def dealt(net: scfx.CompressedModule, turn: int) -> list[torch.optim.Optimizer]:
    """One optimizer of each kind, with parameters dealt to them by turns; one more moves the quantizers."""
    parameters, quantizers = own(net)
    hands: dict[str, list[nn.Parameter]] = {kind: [] for kind in OPTIMIZERS}
    for flat in (False, True):
        kinds = [kind for kind in OPTIMIZERS if not (flat and kind == "muon")]
        for place, parameter in enumerate(p for p in parameters if (p.dim() < 2) == flat):
            kind = kinds[(turn + place) % len(kinds)]
            hands["adam" if kind == "muon" and parameter.dim() != 2 else kind].append(parameter)
    made = [OPTIMIZERS[kind](hand) for kind, hand in hands.items() if hand]
    return [*made, torch.optim.Adam(quantizers, 0.1)]


def loss_of(net: scfx.CompressedModule, kind: str, step: int, gamma: float) -> torch.Tensor:
    x, target = batch(kind, step)
    loss = functional.cross_entropy(net(x).flatten(0, -2), target.flatten())
    return loss + gamma * net.size() if gamma else loss
