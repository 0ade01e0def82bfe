"""Operations of random networks that have parameters or buffers, or that use a layer in an unusual way."""

import math

from tests.network_builder import Builder, Numbers, divisors, is_image, is_map, is_vector, operation

WIDTHS = (4, 3, 6, 8, 2, 12, 1, 5)


@operation
def convolution(b: Builder, n: Numbers) -> None:
    """A convolution of one to three dimensions, sometimes grouped, strided or without bias."""
    if not (x := b.pick(n[0], is_map)):
        return
    width = WIDTHS[n[1] % len(WIDTHS)]
    groups = divisors(math.gcd(x.channels, width))[-1 - n[2] % 3 :][0] if n[2] else 1
    stride = 2 if n[3] == 5 and min(x.space) > 2 else 1
    kernel = 1 if n[3] % 3 == 2 else 3
    layer = b.attribute(
        f"nn.Conv{len(x.space)}d({x.channels}, {width}, {kernel}, stride={stride}, padding={kernel // 2}, "
        f"groups={groups}, bias={n[3] % 4 != 3})"
    )
    b.emit(f"{layer}({x})", (width, *((size - 1) // stride + 1 for size in x.space)))
    if width == x.channels and stride == 1:
        b.convolutions.append((layer, width, len(x.space)))


@operation
def batch_norm(b: Builder, n: Numbers) -> None:
    """A batch norm, sometimes without affine parameters or without running statistics."""
    if x := b.pick(n[0], lambda value: len(value.space) <= 3):
        options = ("", ", affine=False", ", track_running_stats=False", ", momentum=0.5")[max(0, n[1] - 4)]
        layer = b.attribute(f"nn.BatchNorm{max(1, len(x.space))}d({x.channels}, eps=0.1{options})")
        b.emit(f"{layer}({x})", x.shape)


@operation
def linear(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], is_vector):
        width = WIDTHS[n[1] % len(WIDTHS)]
        b.emit(f"{b.attribute(f'nn.Linear({x.channels}, {width}, bias={n[2] % 4 != 3})')}({x})", (width,))


@operation
def residual(b: Builder, n: Numbers) -> None:
    """Add a convolution of a value to the value, with a batch norm behind it half of the time."""
    if x := b.pick(n[0], is_map):
        rank = len(x.space)
        inner = f"{b.attribute(f'nn.Conv{rank}d({x.channels}, {x.channels}, 3, padding=1)')}({x})"
        if n[1] % 2 == 0:
            inner = f"{b.attribute(f'nn.BatchNorm{rank}d({x.channels}, eps=0.1)')}({inner})"
        b.emit(f"{x} + {inner}" if n[2] % 2 else f"torch.relu({inner}) + {x}", x.shape)


@operation
def depthwise(b: Builder, n: Numbers) -> None:
    """A depthwise convolution, now and then with a channel multiplier."""
    if x := b.pick(n[0], is_map):
        multiplier = (1, 1, 1, 2, 3)[n[1] % 5]
        width = x.channels * multiplier
        layer = b.attribute(f"nn.Conv{len(x.space)}d({x.channels}, {width}, 3, padding=1, groups={x.channels})")
        b.emit(f"{layer}({x})", (width, *x.space))


@operation
def transposed(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], is_map):
        width = WIDTHS[n[1] % len(WIDTHS)]
        groups = divisors(math.gcd(x.channels, width))[-1] if n[2] % 3 == 2 else 1
        options = f"2, stride=2, groups={groups}, bias={n[3] % 3 != 2}"
        layer = b.attribute(f"nn.ConvTranspose{len(x.space)}d({x.channels}, {width}, {options})")
        b.emit(f"{layer}({x})", (width, *(2 * size for size in x.space)))


@operation
def group_norm(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], lambda value: math.prod(value.shape) > 1):
        choices = [g for g in divisors(x.channels) if math.prod(x.shape) > g]
        groups = choices[n[1] % len(choices)]
        b.emit(f"{b.attribute(f'nn.GroupNorm({groups}, {x.channels}, eps=0.1, affine={n[2] != 3})')}({x})", x.shape)


@operation
def instance_norm(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], lambda value: is_map(value) and math.prod(value.space) > 1):
        options = (", affine=True", "", ", affine=True, track_running_stats=True")[n[1] % 3]
        b.emit(f"{b.attribute(f'nn.InstanceNorm{len(x.space)}d({x.channels}, eps=0.1{options})')}({x})", x.shape)


@operation
def layer_norm(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], is_vector):
        b.emit(f"{b.attribute(f'nn.LayerNorm({x.channels}, eps=0.1)')}({x})", x.shape)


@operation
def shared(b: Builder, n: Numbers) -> None:
    """Use a convolution of the network a second time."""
    if not b.convolutions:
        return
    layer, channels, rank = b.convolutions[n[1] % len(b.convolutions)]
    if x := b.pick(n[0], lambda value: value.channels == channels and len(value.space) == rank):
        b.emit(f"{layer}({x})", x.shape)


@operation
def squeeze_excite(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], is_map):
        dims = tuple(range(2, 2 + len(x.space)))
        width = max(1, x.channels // 2)
        conv = f"nn.Conv{len(x.space)}d"
        pooled = b.let(f"{x}.mean({dims}, keepdim=True)")
        hidden = b.let(f"torch.relu({b.attribute(f'{conv}({x.channels}, {width}, 1)')}({pooled}))")
        gate = b.let(f"torch.sigmoid({b.attribute(f'{conv}({width}, {x.channels}, 1)')}({hidden}))")
        b.emit(f"{x} * {gate}", x.shape)


@operation
def scale(b: Builder, n: Numbers) -> None:
    """Multiply by, or add, a parameter or a buffer with one entry for each channel."""
    if x := b.pick(n[0]):
        shape = (x.channels, *(1 for _ in x.space))
        make = f"torch.randn({shape})"
        read = b.attribute(f"nn.Parameter({make})") if n[1] % 2 else b.buffer(make)
        b.emit(f"{x} {'+' if n[2] % 3 == 2 else '*'} {read}", x.shape)


@operation
def prelu(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0]):
        b.emit(f"{b.attribute(f'nn.PReLU({x.channels if n[1] % 2 else 1})')}({x})", x.shape)


@operation
def channels_last_linear(b: Builder, n: Numbers) -> None:
    """A linear layer over the channels of an image, between two permutations."""
    if x := b.pick(n[0], is_image):
        width = WIDTHS[n[1] % len(WIDTHS)]
        layer = b.attribute(f"nn.Linear({x.channels}, {width})")
        b.emit(f"{layer}({x}.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)", (width, *x.space))


@operation
def computed_weight(b: Builder, n: Numbers) -> None:
    """A convolution whose weight is computed from parameters: scaled by rows, centred, or masked by a buffer."""
    if x := b.pick(n[0], is_image):
        width = WIDTHS[n[1] % len(WIDTHS)]
        weight = b.attribute(f"nn.Parameter(torch.randn({width}, {x.channels}, 3, 3) * 0.2)")
        if n[2] % 3 == 0:
            weight = f"{weight} * {b.attribute(f'nn.Parameter(torch.randn({width}, 1, 1, 1))')}"
        elif n[2] % 3 == 1:
            weight = f"{weight} - {weight}.mean((1, 2, 3), keepdim=True)"
        else:
            weight = f"{weight} * {b.buffer(f'(torch.rand(1, {x.channels}, 1, 1) > 0.5).float()')}"
        b.emit(f"F.conv2d({x}, {weight}, padding=1)", (width, *x.space))


@operation
def only_in_training(b: Builder, n: Numbers) -> None:
    """A branch that exists in train mode only."""
    if x := b.pick(n[0], is_map):
        layer = b.attribute(f"nn.Conv{len(x.space)}d({x.channels}, {x.channels}, 1)")
        b.emit(f"{x} + {layer}({x}) if self.training else {x} * 0.5", x.shape)


@operation
def einsum(b: Builder, n: Numbers) -> None:
    if x := b.pick(n[0], is_image):
        width = WIDTHS[n[1] % len(WIDTHS)]
        weight = b.attribute(f"nn.Parameter(torch.randn({width}, {x.channels}) * 0.3)")
        b.emit(f'torch.einsum("bchw,dc->bdhw", {x}, {weight})', (width, *x.space))


@operation
def computed_filters(b: Builder, n: Numbers) -> None:
    """A depthwise convolution with filters made of the input, the samples folded into the channels."""
    if x := b.pick(n[0], is_map):
        ones, rank = ", 1" * len(x.space), len(x.space)
        pooled = f"{x}.mean({tuple(range(2, 2 + rank))})"
        filters = b.let(f"{b.linear(x.channels, x.channels)}({pooled}).reshape(-1, 1{ones})")
        folded = f"{x}.reshape(1, -1, {', '.join(map(str, x.space))})"
        call = f"F.conv{rank}d({folded}, {filters}, groups={x.channels} * {x}.shape[0])"
        b.emit(f"{call}.view({x}.shape)", x.shape)
