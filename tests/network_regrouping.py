"""Operations of random networks that take the features or positions of sequences apart and put them together anew."""

import math

from tests.network_builder import Builder, Numbers, Value, divisors, is_image, is_line, operation


def _same_space(b: Builder, n: int, x: Value) -> Value | None:
    return b.sequence(n, lambda value: value.space == x.space)


@operation
def joined_features(b: Builder, n: Numbers) -> None:
    """Put the features of two sequences side by side, or their positions."""
    if not (x := b.sequence(n[0])):
        return
    if n[2] % 3 == 2 and (z := b.sequence(n[1] + 1, lambda v: v.shape[1:] == x.shape[1:])):
        b.emit(f"torch.cat([{x}, {z}], dim=1)", (x.shape[0] + z.shape[0], *x.shape[1:]), True)
    elif y := _same_space(b, n[1] + 1, x):
        values = [x, y, x] if n[2] == 6 else [x, y]
        call = f"torch.cat([{', '.join(map(str, values))}], dim=-1)"
        b.emit(call, (*x.space, sum(value.channels for value in values)), True)


@operation
def split_features(b: Builder, n: Numbers) -> None:
    """Take features apart: in halves, at a place, in steps, turned around, rolled, or by index."""
    if not (x := b.sequence(n[0], lambda value: value.channels > 1)):
        return
    size, kind, at = x.channels, n[1] % 10, 1 + n[2] % (x.channels - 1)
    if kind < 2:
        names = [b.fresh("v"), b.fresh("v")]
        half = math.ceil(size / 2)
        call = f"{x}.chunk(2, dim=-1)" if kind else f"{x}.split([{half}, {size - half}], dim=-1)"
        b.lines.append(f"{names[0]}, {names[1]} = {call}")
        b.values += [Value(names[1], (*x.space, size - half), True), Value(names[0], (*x.space, half), True)]
    elif kind == 2:
        b.emit(f"{x}[..., {at}:]", (*x.space, size - at), True)
    elif kind == 3:
        start = n[3] % 2
        b.emit(f"{x}[..., {start}::2]", (*x.space, len(range(start, size, 2))), True)
    elif kind == 4:
        b.emit(f"{x}.flip(-1)", x.shape, True)
    elif kind == 5:
        b.emit(f"{x}.roll({at}, dims=-1)", x.shape, True)
    elif kind == 6:
        index = b.buffer(f"torch.randperm({size})[:{at + n[3] % 2}]")
        call = f"{x}.index_select(-1, {index})" if n[4] % 2 else f"{x}[..., {index}]"
        b.emit(call, (*x.space, min(size, at + n[3] % 2)), True)
    elif kind == 7:
        b.emit(f"{x}.narrow(-1, {at - 1}, 2)", (*x.space, 2), True)
    elif kind == 8:
        b.emit(f"torch.cat([{x}[..., {at}:], -{x}[..., :{at}]], dim=-1)", x.shape, True)
    else:
        b.emit(f"torch.tensor_split({x}, 2, dim=-1)[0]", (*x.space, math.ceil(size / 2)), True)


@operation
def softmax_of_features(b: Builder, n: Numbers) -> None:
    """Operators along all features: softmax, running sums, sorting, extrema, means that keep the dimension."""
    if x := b.sequence(n[0]):
        form = (
            "torch.softmax({}, dim=-1)",
            "{0} * torch.softmax({0}, dim=1)",
            "torch.cumsum({}, dim=-1)",
            "{0} - {0}.mean(-1, keepdim=True)",
            "{0} + {0}.sum(-1, keepdim=True)",
            "{0} * {0}.amax(-1, keepdim=True)",
            "torch.log_softmax({}, dim=-1)",
            "{0} / (1 + {0}.square().sum(-1, keepdim=True))",
            "{0} * ({0}.std(1, keepdim=True, unbiased=False) + 1)",
            "{0} - torch.logsumexp({0}, dim=-1, keepdim=True)",
        )[(n[1] + 8 * n[2]) % 10]
        b.emit(form.format(x), x.shape, True)


@operation
def through_heads(b: Builder, n: Numbers) -> None:
    """View the features as heads, do something there, and join them again."""
    if not (x := b.sequence(n[0], lambda value: len(divisors(value.channels)) > 1)):
        return
    choices = divisors(x.channels)[1:]
    heads = choices[n[1] % len(choices)]
    size = x.channels // heads
    seen = b.let(f"{x}.unflatten(-1, ({heads}, {size}))")
    gain = f"nn.Parameter(torch.randn({heads}, {size}, {size}) * 0.4)"
    form = (
        "{}.transpose(-1, -2)",
        "torch.softmax({}, dim=-1)",
        "{0} * {0}.mean(-1, keepdim=True)",
        "torch.softmax({}, dim=-2)",
        "{0} + {0}.sum(-2, keepdim=True)",
        'torch.einsum("...hd,hde->...he", {}, {g})',
        "{0} * torch.rsqrt({0}.square().mean(-1, keepdim=True) + 0.1)",
        "{}.flip(-2)",
        "F.layer_norm({}, ({s},), eps=0.1)",
        "F.rms_norm({}, ({h}, {s}), eps=0.1)",
        "torch.cumsum({}, dim=-2)",
        "{}.roll(1, dims=-1)",
    )[(n[2] + 8 * (n[3] % 2)) % 12]
    call = form.format(seen, h=heads, s=size, g=b.attribute(gain) if "{g}" in form else "")
    b.emit(f"({call}).flatten(-2)", x.shape, True)


@operation
def reduced_heads(b: Builder, n: Numbers) -> None:
    """View the features as heads and take the mean, sum or one of them."""
    if x := b.sequence(n[0], lambda value: value.channels % 2 == 0):
        heads, dim = (2, x.channels // 2)[n[1] % 2], -1 - n[2] % 2
        size = x.channels // heads
        call = (".sum({})", ".mean({})", ".amax({})", ".unbind({})[0]", ".select({}, 1)")[n[3] % 5].format(dim)
        left = heads if dim == -1 else size
        if n[3] % 5 != 4 or (heads, size)[dim] > 1:
            b.emit(f"{x}.view(*{x}.shape[:-1], {heads}, {size}){call}", (*x.space, left), True)


@operation
def merged_positions(b: Builder, n: Numbers) -> None:
    """Put neighbouring positions side by side in the features, as patch merging does, or the opposite."""
    if not (x := b.sequence(n[0], lambda value: is_line(value) and value.space[0] % 2 == 0)):
        return
    length, size = x.shape
    merged = (length // 2, 2 * size)
    kind = n[1] % 5
    if kind == 0:
        b.emit(f"{x}.reshape({x}.shape[0], {length // 2}, {2 * size})", merged, True)
    elif kind == 1:
        b.emit(f"torch.cat([{x}[:, 0::2], {x}[:, 1::2]], dim=-1)", merged, True)
    elif kind == 2:
        b.emit(f"{x}.unfold(1, 2, 2).flatten(2)", merged, True)
    elif kind == 3:
        b.emit(f"{x}.view({x}.shape[0], 2, {length // 2}, {size}).transpose(1, 2).flatten(2)", merged, True)
    elif size % 2 == 0:
        b.emit(f"{x}.reshape({x}.shape[0], {2 * length}, {size // 2})", (2 * length, size // 2), True)


@operation
def windows(b: Builder, n: Numbers) -> None:
    """Attention inside windows of an image whose channels come last, sometimes shifted."""
    ok = b.sequence(n[0], lambda v: len(v.space) == 2 and v.space[0] % 2 == 0 and v.space[1] % 2 == 0)
    if not (x := ok):
        return
    (h, w), size = x.space, x.channels
    shifted = n[1] % 2 == 1
    source = b.let(f"torch.roll({x}, (-1, -1), dims=(1, 2))") if shifted else str(x)
    cut = f"{source}.view({x}.shape[0], {h // 2}, 2, {w // 2}, 2, {size}).permute(0, 1, 3, 2, 4, 5)"
    flat = b.let(f"{cut}.reshape(-1, 4, {size})")
    q, k, v = (b.let(f"{b.linear(size, size)}({flat})") for _ in range(3))
    if n[2] % 2:
        out = b.let(f"F.scaled_dot_product_attention({q}, {k}, {v})")
    else:
        out = b.let(f"torch.softmax({q} @ {k}.mT * {size} ** -0.5, dim=-1) @ {v}")
    back = f"{out}.view(-1, {h // 2}, {w // 2}, 2, 2, {size}).permute(0, 1, 3, 2, 4, 5)"
    joined = b.let(f"{back}.reshape({x}.shape[0], {h}, {w}, {size})")
    if shifted:
        joined = f"torch.roll({joined}, (1, 1), dims=(1, 2))"
    b.emit(f"{x} + {b.linear(size, size)}({joined})", x.shape, True)


@operation
def patches(b: Builder, n: Numbers) -> None:
    """Patches of an image: by unfold, by views, or by a convolution with a stride."""
    if not (x := b.pick(n[0], lambda value: is_image(value) and not any(s % 2 for s in value.space))):
        return
    (h, w), size = x.space, x.channels
    if n[1] % 3 == 0:
        layer = b.attribute(f"nn.Conv2d({size}, {2 * size}, 2, stride=2)")
        b.emit(f"{layer}({x}).flatten(2).transpose(1, 2)", (h * w // 4, 2 * size), True)
    elif n[1] % 3 == 1:
        b.emit(f"F.unfold({x}, 2, stride=2).transpose(1, 2)", (h * w // 4, 4 * size), True)
    else:
        cut = f"{x}.view({x}.shape[0], {size}, {h // 2}, 2, {w // 2}, 2).permute(0, 2, 4, 3, 5, 1)"
        b.emit(f"{cut}.reshape({x}.shape[0], {h * w // 4}, {4 * size})", (h * w // 4, 4 * size), True)


@operation
def shuffled(b: Builder, n: Numbers) -> None:
    """Channels of a feature map that change places: rolled, turned around, by index, by shuffling groups."""
    if not (x := b.pick(n[0], lambda value: value.channels > 1)):
        return
    kind, at = n[1] % 5, 1 + n[2] % (x.channels - 1)
    if kind == 0:
        b.emit(f"{x}.roll({at}, dims=1)", x.shape)
    elif kind == 1:
        b.emit(f"{x}.flip(1)", x.shape)
    elif kind == 2:
        index = b.buffer(f"torch.randperm({x.channels})")
        b.emit(f"{x}.index_select(1, {index})" if n[3] % 2 else f"{x}[:, {index}]", x.shape)
    elif kind == 3 and len(x.space) == 2 and len(divisors(x.channels)) > 1:
        b.emit(f"F.channel_shuffle({x}, {divisors(x.channels)[1]})", x.shape)
    else:
        start = n[3] % 2
        b.emit(f"{x}[:, {start}::2]", (len(range(start, x.channels, 2)), *x.space))
