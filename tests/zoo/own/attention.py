"""Networks with attention: language models, an encoder and decoder, mixtures of experts."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VOCABULARY = 16


class SelfAttention(nn.Module):
    """Causal attention with q, k and v in one projection, as in nanoGPT; by hand or fused."""

    def __init__(self, width: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.heads, self.width, self.fused = heads, width, fused
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.mask: Tensor
        self.register_buffer("mask", torch.tril(torch.ones(32, 32)).view(1, 1, 32, 32))

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.size()
        q, k, v = self.qkv(x).split(self.width, dim=2)
        q, k, v = (y.view(b, t, self.heads, c // self.heads).transpose(1, 2) for y in (q, k, v))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            y = F.softmax(scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf")), dim=-1) @ v
        y = y.transpose(1, 2).contiguous().view(b, t, c)
        out: Tensor = self.project(y)
        return out


class GPT(nn.Module):
    """Embeddings of words and places, blocks with norms in front, logits with the embedding's weight."""

    def __init__(self, width: int = 32, heads: int = 4, depth: int = 2, fused: bool = True) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, width)
        self.places = nn.Embedding(32, width)
        self.attentions = nn.ModuleList([SelfAttention(width, heads, fused) for _ in range(depth)])
        self.mlps = nn.ModuleList(
            [nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)) for _ in range(depth)]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2 * depth + 1)])
        self.head = nn.Linear(width, VOCABULARY, bias=False)
        self.words.weight = self.head.weight

    def forward(self, ids: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        places = torch.arange(0, ids.size(1), dtype=torch.long, device=ids.device)
        x = self.words(ids) + self.places(places)
        for i, (attention, mlp) in enumerate(zip(self.attentions, self.mlps, strict=True)):
            x = x + attention(self.norms[2 * i](x))
            x = x + mlp(self.norms[2 * i + 1](x))
        logits = self.head(self.norms[-1](x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


class RootMeanSquare(nn.Module):
    """RMSNorm written out, computed in single precision as published models do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.eps = 1e-6
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return y.type_as(x) * self.weight


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the halves of the features against each other, by an angle for each place."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class GroupedAttention(nn.Module):
    """Grouped queries with rotary positions, all by hand."""

    def __init__(self, width: int = 32, heads: int = 4, groups: int = 2, features: int = 8) -> None:
        super().__init__()
        self.heads, self.groups, self.features = heads, groups, features
        self.q = nn.Linear(width, heads * features, bias=False)
        self.k = nn.Linear(width, groups * features, bias=False)
        self.v = nn.Linear(width, groups * features, bias=False)
        self.o = nn.Linear(heads * features, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, t, _ = x.shape
        q = rotate(self.q(x).view(b, t, self.heads, self.features).transpose(1, 2), cos, sin)
        k = rotate(self.k(x).view(b, t, self.groups, self.features).transpose(1, 2), cos, sin)
        v = self.v(x).view(b, t, self.groups, self.features).transpose(1, 2)
        times = self.heads // self.groups
        k, v = (
            y[:, :, None].expand(b, self.groups, times, t, self.features).reshape(b, self.heads, t, self.features)
            for y in (k, v)
        )
        scores = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(self.features)
        hidden = torch.full((t, t), float("-inf"), device=x.device).triu(1)
        y = torch.matmul(F.softmax(scores + hidden, dim=-1), v)
        out: Tensor = self.o(y.transpose(1, 2).reshape(b, t, -1))
        return out


class Experts(nn.Module):
    """A mixture of experts by hand: the best two of four for each word, weighed by a softmax over the two."""

    def __init__(self, width: int = 32, inner: int = 24, count: int = 4) -> None:
        super().__init__()
        self.router = nn.Linear(width, count, bias=False)
        self.gate = nn.ModuleList([nn.Linear(width, inner, bias=False) for _ in range(count)])
        self.up = nn.ModuleList([nn.Linear(width, inner, bias=False) for _ in range(count)])
        self.down = nn.ModuleList([nn.Linear(inner, width, bias=False) for _ in range(count)])

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = torch.topk(self.router(x), 2, dim=-1)
        weights = F.softmax(weights, dim=-1)
        y = torch.zeros_like(x)
        for index, (gate, up, down) in enumerate(zip(self.gate, self.up, self.down, strict=True)):
            share = (weights * (chosen == index)).sum(-1, keepdim=True)
            y = y + share * down(F.silu(gate(x)) * up(x))
        return y


class Decoder(nn.Module):
    """A Llama-like language model: grouped queries, rotary positions, RMSNorm, SwiGLU or a mixture of experts."""

    def __init__(self, width: int = 32, experts: bool = False) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, width)
        self.attention = GroupedAttention(width)
        self.norms = nn.ModuleList([RootMeanSquare(width) for _ in range(3)])
        self.experts = Experts(width) if experts else None
        self.gate, self.up = (nn.Linear(width, 48, bias=False) for _ in range(2))
        self.down = nn.Linear(48, width, bias=False)
        self.head = nn.Linear(width, VOCABULARY, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids)
        speeds = 1.0 / (100.0 ** (torch.arange(0, 8, 2, device=ids.device).float() / 8))
        angles = torch.outer(torch.arange(ids.shape[1], device=ids.device).float(), speeds)
        angles = torch.cat([angles, angles], dim=-1)
        x = x + self.attention(self.norms[0](x), angles.cos(), angles.sin())
        y = self.norms[1](x)
        x = x + (self.experts(y) if self.experts else self.down(F.silu(self.gate(y)) * self.up(y)))
        logits: Tensor = self.head(self.norms[2](x))
        return logits


class Translator(nn.Module):
    """torch's own Transformer, encoder and decoder, with a causal mask and one for the padding."""

    def __init__(self, width: int = 16, first: bool = False) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, width)
        self.transformer = nn.Transformer(width, 2, 1, 1, 32, dropout=0.0, batch_first=True, norm_first=first)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1], device=target.device)
        padding = source == 0
        y = self.transformer(
            self.words(source), self.words(target), tgt_mask=causal.to(self.words.weight.dtype),
            src_key_padding_mask=padding, memory_key_padding_mask=padding,
        )  # fmt: skip
        logits: Tensor = self.head(y)
        return logits
