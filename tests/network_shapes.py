"""Operations of random networks without parameters: element-wise, shapes, joins, reductions, products of features."""

import math

from tests.network_builder import Builder, Numbers, Value, divisors, is_image, is_map, is_vector, operation

UNARY = (
    "torch.relu({})",
    "torch.tanh({})",
    "F.silu({})",
    "torch.sigmoid({})",
    "F.softplus({})",
    "torch.exp(-{0} * {0})",
    "F.gelu({})",
    "F.leaky_relu({}, 0.1)",
    "F.hardswish({})",
    "F.elu({})",
    "{}.abs()",
    "torch.cos({})",
    "F.relu6({} + 1)",
    "{} * 0.5 + 1.0",
    "1 - {}",
    "{0} * torch.tanh({0})",
    "F.hardsigmoid({})",
    "{}.clamp(-1, 2)",
    "F.dropout({}, 0.0, self.training)",
    "{}.contiguous().clone()",
    "{0} / (1 + {0}.abs())",
    "{}.detach()",
    "torch.where({0} > 0.1, {0}, 0.2 * {0})",
)


@operation
def unary(b: Builder, n: Numbers) -> None:
    if x := b.any(n[0]):
        b.emit(UNARY[(n[1] + 8 * n[2]) % len(UNARY)].format(x), x.shape, x.last)


@operation
def binary(b: Builder, n: Numbers) -> None:
    """Two values of one shape."""
    if not (x := b.any(n[0])):
        return
    if y := b.any(n[1] + 1, lambda value: value.shape == x.shape and value.last == x.last):
        form = ("{} + {}", "{} * {}", "{} - {}", "torch.maximum({}, {})", "torch.add({}, {}, alpha=0.5)")[n[2] % 5]
        b.emit(form.format(x, y), x.shape, x.last)


@operation
def broadcast(b: Builder, n: Numbers) -> None:
    """Combine a feature map with a vector of its channels, or with one channel of another map."""
    if not (x := b.pick(n[0], is_map)):
        return
    sign = "*" if n[2] % 2 else "+"
    if n[3] % 2 and (y := b.pick(n[1], lambda value: value.space == x.space)):
        b.emit(f"{x} {sign} {y}[:, :1]", x.shape)
    elif y := b.pick(n[1], lambda value: value.shape == (x.channels,)):
        b.emit(f"{x} {sign} {y}[{', '.join([':', ':', *('None' for _ in x.space)])}]", x.shape)


@operation
def concatenate(b: Builder, n: Numbers) -> None:
    if not (x := b.pick(n[0])):
        return
    if n[2] == 7 and is_map(x) and (y := b.pick(n[1], lambda value: value.shape == x.shape)):
        b.emit(f"torch.cat([{x}, {y}], -1)", (*x.shape[:-1], 2 * x.shape[-1]))
    elif y := b.pick(n[1] + 1, lambda value: value.space == x.space):
        values = [x, y, x] if n[2] == 6 else [x, y]
        b.emit(f"torch.cat([{', '.join(map(str, values))}], 1)", (sum(v.channels for v in values), *x.space))


@operation
def split(b: Builder, n: Numbers) -> None:
    """Take the channels of a value apart: in halves, at a place, in steps, or as one channel."""
    if not (x := b.pick(n[0], lambda value: value.channels > 1)):
        return
    kind, at = n[1] % 7, 1 + n[2] % (x.channels - 1)
    if kind < 2:
        size = math.ceil(x.channels / 2)
        names = [b.fresh("v"), b.fresh("v")]
        call = f"{x}.chunk(2, 1)" if kind else f"torch.split({x}, {size}, 1)"
        b.lines.append(f"{names[0]}, {names[1]} = {call}")
        b.values += [Value(names[1], (x.channels - size, *x.space)), Value(names[0], (size, *x.space))]
    elif kind == 2:
        b.emit(f"{x}[:, :{at}]", (at, *x.space))
    elif kind == 3:
        b.emit(f"{x}.split([{at}, {x.channels - at}], dim=1)[1]", (x.channels - at, *x.space))
    elif kind == 4:
        b.emit(f"{x}[:, ::2]", (math.ceil(x.channels / 2), *x.space))
    elif kind == 5 and is_map(x):
        b.emit(f"{x}.select(1, {at}).unsqueeze(1)", (1, *x.space))
    elif x.channels % 2 == 0:
        b.emit(f"F.glu({x}, 1)", (x.channels // 2, *x.space))


@operation
def stack(b: Builder, n: Numbers) -> None:
    """Stack two values and either flatten the new dimension into the channels, reduce it, or index it."""
    if not (x := b.pick(n[0])):
        return
    if y := b.pick(n[1] + 1, lambda value: value.shape == x.shape):
        dim = 1 + n[2] % 2
        stacked = f"torch.stack([{x}, {y}], {dim})"
        if n[3] % 3 == 0:
            b.emit(f"{stacked}.flatten(1, 2)", (2 * x.channels, *x.space))
        else:
            b.emit(f"{stacked}.{'sum' if n[3] % 3 == 1 else 'unbind'}({dim}){'[1]' if n[3] % 3 == 2 else ''}", x.shape)


@operation
def grouped_view(b: Builder, n: Numbers) -> None:
    """Split the channels into groups by a view, do something there, and join them again."""
    if not (x := b.pick(n[0], lambda value: len(divisors(value.channels)) > 1)):
        return
    groups = divisors(x.channels)[1:][n[1] % (len(divisors(x.channels)) - 1)]
    size = x.channels // groups
    space = "".join(f", {s}" for s in x.space)
    seen = b.let(
        f"{x}.view({x}.shape[0], {groups}, {size}{space})" if n[3] % 2 else f"{x}.unflatten(1, ({groups}, {size}))"
    )
    form = (
        "{}.transpose(1, 2)",
        "torch.relu({} - 0.1)",
        "{0} * {0}.mean(1, keepdim=True)",
        "torch.softmax({}, 1)",
        "{0} + {0}.sum(2, keepdim=True)",
        "{}.flip(1)",
    )[n[2] % 6].format(seen)
    back = f".reshape({x}.size(0), -1{space})" if n[3] % 2 else ".flatten(1, 2)"
    b.emit(f"({form}){back}", x.shape)


@operation
def reduced_groups(b: Builder, n: Numbers) -> None:
    """Reduce over groups of channels."""
    if x := b.pick(n[0], lambda value: value.channels % 2 == 0):
        dim, call = 1 + n[1] % 2, ("sum", "mean", "amax")[n[2] % 3]
        b.emit(f"{x}.unflatten(1, (2, {x.channels // 2})).{call}({dim})", ((2, x.channels // 2)[dim % 2], *x.space))


@operation
def flatten(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], is_map):
        end = "" if n[1] % 3 else ", 2" if len(x.space) > 1 and n[2] % 2 else ""
        shape = (math.prod(x.shape),) if not end else (x.shape[0] * x.shape[1], *x.shape[2:])
        b.emit(f"{x}.flatten(1{end})" if n[3] % 2 or end else f"{x}.reshape({x}.shape[0], -1)", shape)


@operation
def unflatten(b: Builder, n: Numbers) -> None:
    """Make a small image out of a vector."""
    if x := b.pick(n[0], lambda value: is_vector(value) and value.channels % 4 == 0):
        b.emit(f"{x}.view(-1, {x.channels // 4}, 2, 2)", (x.channels // 4, 2, 2))


@operation
def spatial_mean(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], is_map):
        dims = tuple(range(2, 2 + len(x.space)))
        if n[1] % 3 == 2:
            b.emit(f"{x}.mean({dims}, keepdim=True)", (x.channels, *(1 for _ in x.space)))
        else:
            b.emit(f"{x}.{'sum' if n[1] % 3 else 'mean'}({dims})", (x.channels,))


@operation
def channel_reduction(b: Builder, n: Numbers) -> None:
    """Reduce over all channels, keeping one."""
    if x := b.pick(n[0]):
        b.emit(f"{x}.{('sum', 'mean', 'amax')[n[1] % 3]}(1, keepdim=True)", (1, *x.space))


@operation
def pooling(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], lambda value: is_map(value) and min(value.space) >= 2):
        rank = len(x.space)
        half = (x.channels, *(size // 2 for size in x.space))
        kind = n[1] % 4
        if kind < 2:
            b.emit(f"F.{('max', 'avg')[kind]}_pool{rank}d({x}, 2)", half)
        elif kind == 2:
            b.emit(f"F.adaptive_avg_pool{rank}d({x}, 2)", (x.channels, *(2 for _ in x.space)))
        else:
            b.emit(f"F.adaptive_max_pool{rank}d({x}, 1)", (x.channels, *(1 for _ in x.space)))


@operation
def padding(b: Builder, n: Numbers) -> None:
    """Pad channels with zeros, or space with zeros, a constant or a reflection."""
    if not (x := b.pick(n[0], is_map)):
        return
    rank = len(x.space)
    if n[1] % 2 == 0:
        b.emit(f"F.pad({x}, ({'0, 0, ' * rank}{n[2] % 3}, {n[3] % 3}))", (x.channels + n[2] % 3 + n[3] % 3, *x.space))
    elif n[2] % 3 < 2 or min(x.space) < 2:
        b.emit(f"F.pad({x}, (1, 0), value={n[2] % 3 / 2})", (*x.shape[:-1], x.shape[-1] + 1))
    else:
        pads = ", ".join("1, 1" for _ in x.space)
        b.emit(f'F.pad({x}, ({pads}), mode="reflect")', (x.channels, *(size + 2 for size in x.space)))


@operation
def pixel_shuffle(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], lambda value: is_image(value) and value.channels % 4 == 0):
        b.emit(f"F.pixel_shuffle({x}, 2)", (x.channels // 4, *(2 * size for size in x.space)))


@operation
def pixel_unshuffle(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], lambda value: is_image(value) and not any(size % 2 for size in value.space)):
        b.emit(f"F.pixel_unshuffle({x}, 2)", (x.channels * 4, *(size // 2 for size in x.space)))


@operation
def interpolate(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], is_image):
        mode = ("nearest", "bilinear")[n[1] % 2]
        b.emit(f'F.interpolate({x}, scale_factor=2, mode="{mode}")', (x.channels, *(2 * size for size in x.space)))


@operation
def softmax(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0]):
        b.emit(f"torch.{('softmax', 'log_softmax', 'cumsum')[n[1] % 3]}({x}, {1 if n[2] % 2 == 0 else -1})", x.shape)


@operation
def repeat(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0]):
        ones = ", 1" * len(x.space)
        if n[1] % 3 == 0:
            b.emit(f"{x}.repeat(1, 2{ones})", (2 * x.channels, *x.space))
        elif n[1] % 3 == 1:
            b.emit(f"{x}.repeat_interleave(2, 1)", (2 * x.channels, *x.space))
        elif is_vector(x):
            b.emit(f"{x}[:, :, None, None].expand(-1, -1, 2, 3)", (x.channels, 2, 3))


@operation
def swap_dimensions(b: Builder, n: Numbers) -> None:
    """Exchange channels and a spatial dimension, so that channels become space."""
    if x := b.pick(n[0], is_map):
        dim = 2 + n[1] % len(x.space)
        shape = list(x.shape)
        shape[0], shape[dim - 1] = shape[dim - 1], shape[0]
        b.emit(f"{x}.transpose(1, {dim}).contiguous()", tuple(shape))


@operation
def gram(b: Builder, n: Numbers) -> None:
    """Products of features with features: of all channels with all, or of all places with all."""
    if not (x := b.pick(n[0], is_map)):
        return
    if y := b.pick(n[1], lambda value: value.space == x.space):
        left, right = b.let(f"{x}.flatten(2)"), b.let(f"{y}.flatten(2)")
        size = math.prod(x.space)
        if n[2] % 2 == 0:
            b.emit(f"torch.bmm({left}, {right}.transpose(1, 2)) / {size}", (x.channels, y.channels))
        elif x.channels == y.channels:
            b.emit(f"torch.tanh({left}.transpose(1, 2) @ {right})", (size, size))


@operation
def in_place(b: Builder, n: Numbers) -> None:
    """Change a fresh copy in place, through itself or through a view."""
    if x := b.any(n[0]):
        copy = b.let(f"{x} * 1.5")
        if n[1] % 3 == 0:
            b.lines.append(f"{copy}.add_({x})")
        elif n[1] % 3 == 1:
            b.lines.append(f"F.relu({copy}, inplace=True)")
        else:
            b.lines.append(f"{copy}[{'...' if x.last else ':'}, {n[2] % x.channels}].mul_(0.5)")
        b.emit(f"{copy} + 0.0", x.shape, x.last)
