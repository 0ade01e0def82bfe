"""Operations of random networks on sequences, whose features come last: layers, gates, tables, pooling, embeddings."""

import math

from tests.network_builder import Builder, Numbers, Value, is_image, is_line, is_vector, operation
from tests.network_layers import WIDTHS

ACTIVATIONS = ("F.gelu({})", "torch.relu({})", "F.silu({})", "torch.tanh({})", "torch.relu({}).square()")


@operation
def dense(b: Builder, n: Numbers) -> None:
    """A linear layer over the features."""
    if x := b.sequence(n[0]):
        width = WIDTHS[n[1] % len(WIDTHS)]
        layer = b.linear(x.channels, width, n[2] % 4 != 3)
        b.emit(f"{layer}({x})", (*x.space, width), True)
        if width == x.channels:
            b.dense.append((layer, width))


@operation
def tokens(b: Builder, n: Numbers) -> None:
    """Make a sequence of a feature map, or of a vector."""
    if not (x := b.pick(n[0])):
        return
    if is_vector(x):
        if n[1] % 2 and x.channels % 2 == 0:
            b.emit(f"{x}.view({x}.shape[0], {x.channels // 2}, 2)", (x.channels // 2, 2), True)
        else:
            b.emit(f"{x}[:, None]", (1, x.channels), True)
    elif n[1] % 3 == 1 and is_image(x):
        b.emit(f"{x}.permute(0, 2, 3, 1)", (*x.space, x.channels), True)
    elif n[1] % 3 == 2:
        b.emit(f"{x}.flatten(2)", (x.channels, math.prod(x.space)), True)
    else:
        b.emit(f"{x}.flatten(2).transpose(1, 2)", (math.prod(x.space), x.channels), True)


@operation
def untokens(b: Builder, n: Numbers) -> None:
    """Make a feature map of a sequence."""
    if not (x := b.sequence(n[0])):
        return
    if len(x.space) == 2:
        b.emit(f"{x}.permute(0, 3, 1, 2)", (x.channels, *x.space))
    elif is_line(x) and x.space[0] % 2 == 0 and n[1] % 2:
        shape = (x.channels, 2, x.space[0] // 2)
        b.emit(f"{x}.transpose(1, 2).reshape({x}.shape[0], {', '.join(map(str, shape))})", shape)
    elif is_line(x):
        b.emit(f"{x}.transpose(1, 2)", (x.channels, *x.space))


@operation
def mlp(b: Builder, n: Numbers) -> None:
    """The feed-forward block of a transformer, plain or gated, with or without a norm and a residual."""
    if not (x := b.any(n[0], lambda value: value.last or is_vector(value))):
        return
    width, act = WIDTHS[n[1] % len(WIDTHS)], ACTIVATIONS[n[2] % len(ACTIVATIONS)]
    bias = n[4] % 2 == 0
    into = str(x)
    if n[5] % 3 == 1:
        into = b.let(f"{b.attribute(f'nn.LayerNorm({x.channels}, eps=0.1)')}({x})")
    elif n[5] % 3 == 2:
        into = b.let(f"{b.attribute(f'nn.RMSNorm({x.channels}, eps=0.1)')}({x})")
    kind = n[3] % 5
    if kind == 0:
        hidden = act.format(f"{b.linear(x.channels, width, bias)}({into})")
    elif kind == 1:
        gate = act.format(f"{b.linear(x.channels, width, bias)}({into})")
        hidden = f"{gate} * {b.linear(x.channels, width, bias)}({into})"
    elif kind == 2:
        gate, value = b.fresh("t"), b.fresh("t")
        b.lines.append(f"{gate}, {value} = {b.linear(x.channels, 2 * width, bias)}({into}).chunk(2, dim=-1)")
        hidden = f"{act.format(gate)} * {value}"
    elif kind == 3:
        hidden = f"F.glu({b.linear(x.channels, 2 * width, bias)}({into}), dim=-1)"
    else:
        both = b.let(f"{b.linear(x.channels, 2 * width, bias)}({into})")
        hidden = f"{act.format(f'{both}[..., :{width}]')} * torch.sigmoid({both}[..., {width}:])"
    out = f"{b.linear(width, x.channels, bias)}({hidden})"
    b.emit(f"{x} + {out}" if n[5] != 7 else out, x.shape, x.last)


@operation
def shared_dense(b: Builder, n: Numbers) -> None:
    """Use a linear layer a second time, as it is, transposed, or on the other side of an activation."""
    if not b.dense:
        return
    layer, width = b.dense[n[1] % len(b.dense)]
    if x := b.sequence(n[0], lambda value: value.channels == width):
        form = ("{1}({0})", "F.linear({0}, {1}.weight.t())", "{0} @ {1}.weight", "{1}(torch.tanh({1}({0})))")[n[2] % 4]
        b.emit(form.format(x, layer), x.shape, True)


@operation
def position_table(b: Builder, n: Numbers) -> None:
    """Add, or multiply by, a table with an entry for each position and feature: a parameter or a buffer."""
    if not (x := b.sequence(n[0])):
        return
    shape = ((1, *x.shape), x.shape, (*(1 for _ in x.space), x.channels), (*x.space, 1))[n[1] % 4]
    make = f"torch.randn({shape})"
    read = b.attribute(f"nn.Parameter({make})") if n[2] % 2 == 0 else b.buffer(make)
    if n[1] == 5:
        read = f"{read}[:{x.shape[0]}]"
    b.emit(f"{x} {'*' if n[3] % 3 == 2 else '+'} {read}", x.shape, True)


@operation
def class_token(b: Builder, n: Numbers) -> None:
    """Put a learned token, or a token made of a vector, in front of a sequence."""
    if not (x := b.sequence(n[0], is_line)):
        return
    token = None
    if n[1] % 3 == 2 and (v := b.pick(n[2], lambda value: is_vector(value) and value.channels == x.channels)):
        token = f"{v}[:, None]"
    if token is None:
        token = f"{b.attribute(f'nn.Parameter(torch.randn(1, 1, {x.channels}))')}.expand({x}.shape[0], -1, -1)"
    order = f"{x}, {token}" if n[3] % 2 else f"{token}, {x}"
    b.emit(f"torch.cat([{order}], dim=1)", (x.space[0] + 1, x.channels), True)


@operation
def pooled(b: Builder, n: Numbers) -> None:
    """A vector from a sequence: mean, first position, maximum, attention over positions, or all positions flat."""
    if not (x := b.sequence(n[0])):
        return
    dims = ", ".join(str(1 + index) for index in range(len(x.space)))
    vector = (x.channels,)
    kind = n[1] % 6
    if kind == 0:
        b.emit(f"{x}.mean(({dims}))", vector)
    elif kind == 1:
        b.emit(f"{x}[{', '.join([':', *('0' for _ in x.space)])}]", vector)
    elif kind == 2:
        b.emit(f"{x}.amax(({dims}))", vector)
    elif kind == 3 and is_line(x):
        weights = b.let(f"torch.softmax({b.linear(x.channels, 1)}({x}), dim=1)")
        b.emit(f"({weights} * {x}).sum(1)", vector)
    elif kind == 4:
        b.emit(f"{x}.flatten(1)", (math.prod(x.shape),))
    elif kind == 5 and is_line(x):
        query = b.attribute(f"nn.Parameter(torch.randn({x.channels}))")
        weights = b.let(f"torch.softmax({x} @ {query}, dim=-1)")
        b.emit(f"torch.bmm({weights}[:, None], {x}).squeeze(1)", vector)


@operation
def modulate(b: Builder, n: Numbers) -> None:
    """Shift, scale or gate a sequence by something made of a vector."""
    if not (x := b.sequence(n[0])):
        return
    v = b.pick(n[1], is_vector)
    if v is None:
        dims = ", ".join(str(1 + index) for index in range(len(x.space)))
        v = Value(b.let(f"{x}.mean(({dims}))"), (x.channels,))
    index = ", ".join([":", *("None" for _ in x.space)])
    if n[2] % 3 == 0:
        shift, scale = b.fresh("t"), b.fresh("t")
        b.lines.append(f"{shift}, {scale} = {b.linear(v.channels, 2 * x.channels)}({v}).chunk(2, dim=1)")
        b.emit(f"{x} * (1 + {scale}[{index}]) + {shift}[{index}]", x.shape, True)
    elif n[2] % 3 == 1:
        gate = b.let(f"torch.sigmoid({b.linear(v.channels, x.channels)}({v}))")
        b.emit(f"{x} * {gate}[{index}]", x.shape, True)
    else:
        b.emit(f"{x} + {b.linear(v.channels, x.channels)}({v})[{index}]", x.shape, True)


@operation
def embedding(b: Builder, n: Numbers) -> None:
    """Look up rows of a table, at indices made of a sequence; sometimes the table is the output layer too."""
    if not (x := b.sequence(n[0], is_line)):
        return
    rows, width = 3 + n[1] % 4, WIDTHS[n[2] % len(WIDTHS)]
    layer = b.attribute(f"nn.Embedding({rows}, {width}{', padding_idx=0' if n[3] % 4 == 3 else ''})")
    indices = b.let(f"({x}[..., 0] * 5).long().remainder({rows})")
    read = (f"{layer}({indices})", f"F.embedding({indices}, {layer}.weight)", f"{layer}.weight[{indices}]")[n[4] % 3]
    if b.emit(read, (*x.space, width), True) and n[5] % 2:
        b.emit(f"F.linear(torch.tanh({b.values[-1]}), {layer}.weight)", (*x.space, rows), True)


@operation
def sequence_convolution(b: Builder, n: Numbers) -> None:
    """A convolution along the positions, sometimes depthwise and causal."""
    if not (x := b.sequence(n[0], is_line)):
        return
    if n[1] % 3 == 0:
        layer = b.attribute(f"nn.Conv1d({x.channels}, {x.channels}, 3, groups={x.channels})")
        b.emit(f"F.silu({layer}(F.pad({x}.transpose(1, 2), (2, 0)))).transpose(1, 2)", x.shape, True)
    elif n[1] % 3 == 1:
        width = WIDTHS[n[2] % len(WIDTHS)]
        layer = b.attribute(f"nn.Conv1d({x.channels}, {width}, 3, padding=1)")
        b.emit(f"{layer}({x}.mT).mT", (*x.space, width), True)
    else:
        layer = b.attribute(f"nn.Conv1d({x.channels}, {x.channels}, 3, padding=2, groups={x.channels})")
        b.emit(f"{layer}({x}.transpose(1, 2))[..., :{x.space[0]}].transpose(1, 2)", x.shape, True)


@operation
def position_mixing(b: Builder, n: Numbers) -> None:
    """A linear layer over positions, as in mixers, or a running sum, or a mean over what came before."""
    if not (x := b.sequence(n[0], is_line)):
        return
    length = x.space[0]
    kind = n[1] % 5
    if kind == 0:
        b.emit(f"{b.linear(length, length)}({x}.transpose(1, 2)).transpose(1, 2)", x.shape, True)
    elif kind == 1:
        b.emit(f"torch.cumsum({x}, dim=1)", x.shape, True)
    elif kind == 2:
        mask = b.buffer(f"torch.tril(torch.ones({length}, {length})) / torch.arange(1, {length + 1})[:, None]")
        b.emit(f"{mask} @ {x}", x.shape, True)
    elif kind == 3:
        b.emit(f"{x} - {x}.roll(1, dims=1)", x.shape, True)
    else:
        b.emit(f"torch.cumsum({x}, dim=1) / torch.arange(1, {length + 1})[:, None]", x.shape, True)


@operation
def masked(b: Builder, n: Numbers) -> None:
    """Put a constant, or another value, where a mask says so."""
    if not (x := b.sequence(n[0])):
        return
    kind = n[1] % 4
    if kind == 0:
        mask = b.buffer(f"torch.rand({(*x.space, 1)}) > 0.5")
        b.emit(f"{x}.masked_fill({mask}, {n[2] % 2}.0)", x.shape, True)
    elif kind == 1:
        mask = b.buffer(f"torch.rand({x.channels}) > 0.5")
        b.emit(f"torch.where({mask}, {x}, {(0.0, 0.5)[n[2] % 2]})", x.shape, True)
    elif kind == 2 and (y := b.sequence(n[2] + 1, lambda value: value.shape == x.shape)):
        b.emit(f"torch.where({x} > {y}, {x}, {y} * 0.5)", x.shape, True)
    else:
        mask = b.let(f"({x}[..., :1] > 0)")
        b.emit(f"{x}.masked_fill({mask}, 0.0)", x.shape, True)


@operation
def experts(b: Builder, n: Numbers) -> None:
    """A weighted sum of two or three layers, with the weights from a softmax or the largest of them only."""
    if not (x := b.sequence(n[0])):
        return
    width, count = WIDTHS[n[1] % len(WIDTHS)], 2 + n[2] % 2
    gates = b.let(f"torch.softmax({b.linear(x.channels, count)}({x}), dim=-1)")
    if n[3] % 4 == 3:
        weight = b.attribute(f"nn.Parameter(torch.randn({count}, {x.channels}, {width}) * 0.3)")
        each = b.let(f'torch.einsum("...c,ecd->...ed", {x}, {weight})')
        b.emit(f"({each} * {gates}[..., None]).sum(-2)", (*x.space, width), True)
        return
    layers = [b.linear(x.channels, width) for _ in range(count)]
    if n[3] % 2 == 0:
        each = b.let(f"torch.stack([{', '.join(f'{layer}({x})' for layer in layers)}], dim=-1)")
        b.emit(f"({each} * {gates}[..., None, :]).sum(-1)", (*x.space, width), True)
    else:
        terms = " + ".join(f"{layer}({x}) * {gates}[..., {i}:{i + 1}]" for i, layer in enumerate(layers))
        b.emit(terms, (*x.space, width), True)


@operation
def product(b: Builder, n: Numbers) -> None:
    """A matrix product of a sequence with a parameter, or with another sequence."""
    if not (x := b.sequence(n[0])):
        return
    kind, width = n[1] % 5, WIDTHS[n[2] % len(WIDTHS)]
    if kind < 2:
        weight = b.attribute(f"nn.Parameter(torch.randn({x.channels}, {width}) * 0.3)")
        call = f"{x} @ {weight}" if kind else f'torch.einsum("...c,cd->...d", {x}, {weight})'
        b.emit(call, (*x.space, width), True)
        return
    y = b.sequence(n[3] + 1, lambda value: is_line(value) and value.space == x.space)
    if y is None:
        return
    if kind == 2 and y.channels == x.channels:
        call = f'torch.einsum("bic,bjc->bij", {x}, {y})' if n[4] % 2 else f"{x} @ {y}.transpose(1, 2)"
        b.emit(call, (x.space[0], x.space[0]), True)
    elif kind == 3:
        mixed = b.let(f"{x}.transpose(1, 2) @ {y} / {x.space[0]}")
        b.emit(f"{x} @ {mixed}", (*y.space, y.channels), True)
    elif kind == 4:
        call = f'torch.einsum("bic,bid->bcd", {x}, {y})'
        b.emit(f"torch.tanh({call}).flatten(1)", (x.channels * y.channels,))
