"""Attention in random networks: how queries, keys and values are made, what the scores are, how heads meet again."""

import math
from dataclasses import dataclass

from tests.network_builder import Builder, Numbers, Value, divisors, is_line, operation


@dataclass(frozen=True)
class Heads:
    """Variables for queries, keys and values, shaped (batch, heads, positions, features)."""

    query: str
    key: str
    value: str
    count: int
    key_count: int
    features: int
    value_features: int


def _split(b: Builder, name: str, heads: int, features: int, form: int) -> str:
    """Take heads out of the last dimension."""
    if form % 2:
        return b.let(f"{name}.unflatten(-1, ({heads}, {features})).permute(0, 2, 1, 3)")
    return b.let(f"{name}.view({name}.shape[0], {name}.shape[1], {heads}, {features}).transpose(1, 2)")


def _separate(b: Builder, x: Value, y: Value, n: Numbers) -> Heads:
    """Three layers, sometimes with fewer key heads than query heads, or with values of another size."""
    count, features = (2, 1, 3, 4)[n[1] % 4], (2, 4, 3)[n[2] % 3]
    key_count = divisors(count)[n[3] % len(divisors(count))] if n[3] >= 4 else count
    value_features = features + 1 if n[2] >= 6 else features
    bias = n[4] % 2 == 0
    sources = ((x, count, features), (y, key_count, features), (y, key_count, value_features))
    names = []
    for source, heads, size in sources:
        flat = b.let(f"{b.linear(source.channels, heads * size, bias)}({source})")
        names.append(_split(b, flat, heads, size, n[5]))
    return Heads(names[0], names[1], names[2], count, key_count, features, value_features)


def _fused(b: Builder, x: Value, n: Numbers) -> Heads:
    """One layer, taken apart by a view, by a chunk, by slices or by a view per head."""
    count, features = (2, 1, 3, 4)[n[1] % 4], (2, 4, 3)[n[2] % 3]
    size = count * features
    flat = b.let(f"{b.linear(x.channels, 3 * size, n[4] % 2 == 0)}({x})")
    form = n[3] % 5
    if form == 0:
        names = [b.fresh("t") for _ in range(3)]
        b.lines.append(f"{', '.join(names)} = {flat}.chunk(3, dim=-1)")
        names = [_split(b, name, count, features, n[5]) for name in names]
    elif form == 1:
        names = [b.fresh("t") for _ in range(3)]
        shape = f"{flat}.shape[0], {flat}.shape[1], 3, {count}, {features}"
        b.lines.append(f"{', '.join(names)} = {flat}.reshape({shape}).permute(2, 0, 3, 1, 4).unbind(0)")
    elif form == 2:
        names = [b.let(f"{flat}[..., {i * size}:{(i + 1) * size}]") for i in range(3)]
        names = [_split(b, name, count, features, n[5]) for name in names]
    elif form == 3:  # as in GPT-NeoX: the three lie side by side in every head
        each = b.let(f"{flat}.view({flat}.shape[0], {flat}.shape[1], {count}, {3 * features}).transpose(1, 2)")
        names = [b.let(f"{each}[..., {i * features}:{(i + 1) * features}]") for i in range(3)]
    else:
        shape = f"{flat}.shape[0], {flat}.shape[1], 3, {count}, {features}"
        each = b.let(f"{flat}.view({shape})")
        names = [b.let(f"{each}[:, :, {i}].transpose(1, 2)") for i in range(3)]
    return Heads(names[0], names[1], names[2], count, count, features, features)


def _decorate(b: Builder, h: Heads, length: tuple[int, int], n: Numbers) -> tuple[str, str]:
    """Norms on queries and keys, rotary embeddings, or a cosine similarity."""
    kind, both = n[4] % 8, (h.query, h.key)
    if kind == 2:
        norms = [b.attribute(f"nn.{('LayerNorm', 'RMSNorm')[n[5] % 2]}({h.features}, eps=0.1)") for _ in both]
        return b.let(f"{norms[0]}({h.query})"), b.let(f"{norms[1]}({h.key})")
    if kind == 3:
        return b.let(f"F.normalize({h.query}, dim=-1, eps=0.1)"), b.let(f"F.normalize({h.key}, dim=-1, eps=0.1)")
    if kind in (4, 5) and h.features % 2 == 0 and length[0] == length[1]:
        return b.let(_rotated(b, h.query, h.features, length[0], kind)), b.let(
            _rotated(b, h.key, h.features, length[0], kind)
        )
    return both


def _rotated(b: Builder, name: str, features: int, length: int, kind: int) -> str:
    """Turn pairs of features by an angle that depends on the position: halves apart (4) or neighbours (5)."""
    angles = b.buffer(f"torch.outer(torch.arange({length}.0), 0.5 ** torch.arange({features // 2}.0))")
    cos, sin = b.let(f"torch.cos({angles})"), b.let(f"torch.sin({angles})")
    if kind == 4:
        first, second = b.let(f"{name}[..., :{features // 2}]"), b.let(f"{name}[..., {features // 2}:]")
        return f"torch.cat([{first} * {cos} - {second} * {sin}, {second} * {cos} + {first} * {sin}], dim=-1)"
    first, second = b.let(f"{name}[..., 0::2]"), b.let(f"{name}[..., 1::2]")
    pair = f"{first} * {cos} - {second} * {sin}, {second} * {cos} + {first} * {sin}"
    return f"torch.stack([{pair}], dim=-1).flatten(-2)"


def _mask(b: Builder, h: Heads, length: tuple[int, int], n: Numbers) -> str | None:
    """No mask, a causal one, one for each sample, a bias for each head, or a table looked up by distance."""
    q, k = length
    kind = n[5] % 6
    if kind == 1:
        return b.buffer(f"torch.full(({q}, {k}), -1e4).triu(1)")
    if kind == 2:
        return b.attribute(f"nn.Parameter(torch.randn(1, {h.count}, {q}, {k}))")
    if kind == 3:
        table = b.attribute(f"nn.Parameter(torch.randn({q + k - 1}, {h.count}))")
        index = b.buffer(f"torch.arange({q})[:, None] - torch.arange({k})[None] + {k - 1}")
        return b.let(f"{table}[{index}].permute(2, 0, 1)[None]")
    if kind == 4:
        slopes = b.buffer(f"0.5 ** torch.arange(1, {h.count + 1})[:, None, None]")
        return b.let(f"-(torch.arange({q})[:, None] - torch.arange({k})).abs() * {slopes}")
    return None


def _fused_scores(b: Builder, h: Heads, query: str, key: str, length: tuple[int, int], n: Numbers) -> str:
    """Call the fused operator."""
    options = ""
    mask = _mask(b, h, length, n)
    if mask is not None and n[5] % 6 != 1:
        options += f", attn_mask={mask}.to({query}.dtype)"
    elif n[5] % 6 == 1:
        options += ", is_causal=True"
    if n[3] % 3 == 2:
        options += f", scale={(0.5, 1.0)[n[1] % 2]}"
    if h.key_count != h.count:
        options += ", enable_gqa=True"
    return f"F.scaled_dot_product_attention({query}, {key}, {h.value}{options})"


def _eager_scores(b: Builder, h: Heads, query: str, key: str, length: tuple[int, int], n: Numbers) -> str:
    """Write the scores, the softmax and the weighted sum out."""
    value = h.value
    if h.key_count != h.count:
        times = h.count // h.key_count
        repeat = f"[:, :, None].expand(-1, -1, {times}, -1, -1).flatten(1, 2)"
        if n[1] % 2:
            repeat = f".repeat_interleave({times}, dim=1)"
        key, value = b.let(key + repeat), b.let(value + repeat)
    scale = f"math.sqrt({h.features})" if n[3] % 2 else f"{h.features} ** 0.5"
    if n[1] % 3 == 2:
        scores = f'torch.einsum("bhid,bhjd->bhij", {query}, {key}) / {scale}'
    elif n[1] % 3 == 1:
        scores = f"torch.matmul({query} / {scale}, {key}.transpose(-2, -1))"
    else:
        scores = f"({query} @ {key}.transpose(-2, -1)) / {scale}"
    mask = _mask(b, h, length, n)
    if mask is not None:
        scores = f"{scores} + {mask}"
    if n[5] % 6 == 5:
        allowed = b.buffer(f"torch.ones({length[0]}, {length[1]}).tril() > 0")
        scores = f"({scores}).masked_fill(~{allowed}, -1e9)"
    weights = b.let(f"torch.softmax({scores}, dim=-1)")
    return f"{weights} @ {value}"


def _linear_scores(b: Builder, h: Heads, query: str, key: str) -> str:
    """Linear attention: keys and values are summed over positions first."""
    value = b.let(f"torch.softmax({key}, dim=-2).transpose(-2, -1) @ {h.value}")
    return f"torch.softmax({query}, dim=-1) @ {value}"


def _positive_scores(b: Builder, h: Heads, query: str, key: str) -> str:
    """Linear attention with positive features and a written-out divisor."""
    q, k = b.let(f"F.elu({query}) + 1"), b.let(f"F.elu({key}) + 1")
    top = f"{q} @ ({k}.transpose(-2, -1) @ {h.value})"
    return f"{top} / ({q} @ {k}.sum(-2, keepdim=True).transpose(-2, -1) + 0.5)"


def _channel_scores(b: Builder, h: Heads, query: str, key: str) -> str:
    """Cross-covariance attention: features attend to features."""
    scores = f"{query}.transpose(-2, -1) @ {key}"
    if h.features != h.value_features:
        return _linear_scores(b, h, query, key)
    return f"(torch.softmax({scores}, dim=-1) @ {h.value}.transpose(-2, -1)).transpose(-2, -1)"


def _scores(b: Builder, h: Heads, length: tuple[int, int], n: Numbers) -> str:
    query, key = _decorate(b, h, length, n)
    kind = n[6] % 8
    if kind < 3:
        return _fused_scores(b, h, query, key, length, n)
    if kind < 5 or h.key_count != h.count:
        return _eager_scores(b, h, query, key, length, n)
    if kind == 5:
        return _linear_scores(b, h, query, key)
    return (_positive_scores if kind == 6 else _channel_scores)(b, h, query, key)


def _finish(b: Builder, x: Value, h: Heads, scores: str, n: Numbers) -> None:
    """Put the heads together again, project, and mostly add to the input."""
    out = b.let(scores)
    size = h.count * h.value_features
    if n[2] % 4 == 3:
        weight = b.attribute(f"nn.Parameter(torch.randn({h.count}, {h.value_features}, {x.channels}) * 0.3)")
        result = f'torch.einsum("bhtd,hdc->btc", {out}, {weight})'
    else:
        flat = f"{out}.transpose(1, 2)"
        flat += f".reshape({x}.shape[0], {x.space[0]}, {size})" if n[3] % 2 else ".flatten(2)"
        result = f"{b.linear(size, x.channels, n[4] % 2 == 0)}({flat})"
    b.emit(result if n[4] == 7 else f"{x} + {result}", x.shape, True)


@operation
def attention(b: Builder, n: Numbers) -> None:
    """Attention of a sequence to itself, from three layers."""
    if x := b.sequence(n[0], is_line):
        heads = _separate(b, x, x, n)
        _finish(b, x, heads, _scores(b, heads, (x.space[0], x.space[0]), n), n)


@operation
def fused_attention(b: Builder, n: Numbers) -> None:
    """Attention of a sequence to itself, from one layer."""
    if x := b.sequence(n[0], is_line):
        heads = _fused(b, x, n)
        _finish(b, x, heads, _scores(b, heads, (x.space[0], x.space[0]), n), n)


@operation
def cross_attention(b: Builder, n: Numbers) -> None:
    """Attention of a sequence to another one."""
    if x := b.sequence(n[0], is_line):
        y = b.sequence(n[6] + n[1], is_line)
        assert y is not None
        if y is x or math.prod(y.space) > 12:
            return
        heads = _separate(b, x, y, n)
        _finish(b, x, heads, _scores(b, heads, (x.space[0], y.space[0]), n), n)


@operation
def module_attention(b: Builder, n: Numbers) -> None:
    """torch's own module, which packs its three projections into one parameter."""
    if x := b.sequence(n[0], lambda value: is_line(value) and value.channels % 2 == 0):
        options = ("", ", bias=False", ", add_bias_kv=True", "")[n[1] % 4]
        layer = b.attribute(f"nn.MultiheadAttention({x.channels}, {1 + n[2] % 2}, batch_first=True{options})")
        weights = "" if n[3] % 2 else ", need_weights=False"
        b.emit(f"{x} + {layer}({x}, {x}, {x}{weights})[0]", x.shape, True)


@operation
def transformer_layer(b: Builder, n: Numbers) -> None:
    """torch's own encoder layer."""
    if x := b.sequence(n[0], lambda value: is_line(value) and value.channels % 2 == 0):
        options = f"norm_first={n[1] % 2 == 1}, activation={('torch.relu', 'F.gelu')[n[2] % 2]}"
        size = f"{x.channels}, {1 + n[3] % 2}, {4 + n[2]}"
        layer = b.attribute(f"nn.TransformerEncoderLayer({size}, dropout=0.0, batch_first=True, {options})")
        b.emit(f"{layer}({x})", x.shape, True)
