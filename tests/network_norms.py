"""Norms of random networks over the features of sequences and vectors, as modules, functions and written out."""

from tests.network_builder import Builder, Numbers, divisors, is_line, is_vector, operation


@operation
def feature_norm(b: Builder, n: Numbers) -> None:
    """Layer norm or RMS norm over the features."""
    if x := b.any(n[0], lambda value: value.last or is_vector(value)):
        size, kind = x.channels, n[1] % 6
        if kind == 0:
            call = f"{b.attribute(f'nn.LayerNorm({size}, eps=0.1)')}({x})"
        elif kind == 1:
            call = f"{b.attribute(f'nn.RMSNorm({size}, eps=0.1)')}({x})"
        elif kind == 2:
            call = f"F.layer_norm({x}, ({size},), eps=0.1)"
        elif kind == 3:
            call = f"F.rms_norm({x}, ({size},), {b.attribute(f'nn.Parameter(torch.ones({size}))')}, eps=0.1)"
        elif kind == 4:
            call = f"{b.attribute(f'nn.LayerNorm({size}, eps=0.1, bias=False)')}({x})"
        else:
            call = f"{b.attribute(f'nn.LayerNorm({list(x.shape)}, eps=0.1)')}({x})"
        b.emit(call, x.shape, x.last)


@operation
def written_norm(b: Builder, n: Numbers) -> None:
    """Norms over the features as people write them out."""
    if not (x := b.any(n[0], lambda value: value.last or is_vector(value))):
        return
    gain = b.attribute(f"nn.Parameter(torch.rand({x.channels}) + 0.5)")
    shift = b.attribute(f"nn.Parameter(torch.randn({x.channels}))")
    kind = n[1] % 7
    if kind == 0:
        call = f"{gain} * {x} * torch.rsqrt({x}.pow(2).mean(-1, keepdim=True) + 0.1)"
    elif kind == 1:
        mean = b.let(f"{x}.mean(-1, keepdim=True)")
        var = b.let(f"({x} - {mean}).pow(2).mean(-1, keepdim=True)")
        call = f"{gain} * ({x} - {mean}) / torch.sqrt({var} + 0.1) + {shift}"
    elif kind == 2:
        unbiased = ("", ", unbiased=False")[n[2] % 2] if x.channels > 1 else ", unbiased=False"
        var = b.let(f"{x}.var(-1, keepdim=True{unbiased})")
        call = f"({x} - {x}.mean(-1, keepdim=True)) * torch.rsqrt({var} + 0.1) * {gain} + {shift}"
    elif kind == 3:
        call = f"F.normalize({x}, dim=-1, eps=0.1) * {gain} * {x.channels} ** 0.5"
    elif kind == 4:
        call = f"{x} / (torch.linalg.vector_norm({x}, dim=-1, keepdim=True) + 0.1) * {gain}"
    elif kind == 5 and x.channels > 1:
        pair = b.fresh("t"), b.fresh("t")
        b.lines.append(f"{pair[0]}, {pair[1]} = torch.var_mean({x}, dim=-1, keepdim=True)")
        call = f"({x} - {pair[1]}) / ({pair[0]} + 0.1).sqrt() + {shift}"
    else:
        call = f"torch.tanh({x} * {b.attribute('nn.Parameter(torch.ones(1))')}) * {gain} + {shift}"
    b.emit(call, x.shape, x.last)


@operation
def norm_of_positions(b: Builder, n: Numbers) -> None:
    """Batch, instance and group norms on a sequence turned around, and a response norm over positions."""
    if not (x := b.sequence(n[0], is_line)):
        return
    kind = n[1] % 4
    if kind == 0:
        layer = f"nn.BatchNorm1d({x.channels}, eps=0.1)"
    elif kind == 1 and x.space[0] > 1:
        layer = f"nn.InstanceNorm1d({x.channels}, eps=0.1, affine={n[2] % 2 == 1})"
    elif kind == 2 and x.shape[0] * x.shape[1] > 1:
        groups = [g for g in divisors(x.channels) if x.shape[0] * x.shape[1] > g]
        layer = f"nn.GroupNorm({groups[n[2] % len(groups)]}, {x.channels}, eps=0.1)"
    else:
        norm = b.let(f"torch.norm({x}, p=2, dim=1, keepdim=True)")
        gain = b.attribute(f"nn.Parameter(torch.randn(1, 1, {x.channels}))")
        b.emit(f"{gain} * ({x} * ({norm} / ({norm}.mean(-1, keepdim=True) + 0.1))) + {x}", x.shape, True)
        return
    b.emit(f"{b.attribute(layer)}({x}.transpose(1, 2)).transpose(1, 2)", x.shape, True)


@operation
def norm_of_weight(b: Builder, n: Numbers) -> None:
    """A linear layer whose weight is normalised first: by rows, by columns, or standardised."""
    if not (x := b.any(n[0], lambda value: value.last or is_vector(value))):
        return
    width = (4, 3, 6, 8)[n[1] % 4]
    weight = b.attribute(f"nn.Parameter(torch.randn({width}, {x.channels}))")
    kind = n[2] % 5
    if kind == 0:
        made = f"{weight} / ({weight}.norm(dim=1, keepdim=True) + 0.1)"
    elif kind == 1:
        made = f"F.normalize({weight}, dim=0, eps=0.1)"
    elif kind == 2:
        made = f"({weight} - {weight}.mean(1, keepdim=True)) / ({weight}.std(1, keepdim=True, unbiased=False) + 0.1)"
    elif kind == 3:
        made = f"torch.softmax({weight}, dim={n[3] % 2})"
    else:
        made = f"{weight} * {b.attribute(f'nn.Parameter(torch.rand({width}, 1) + 0.5)')} / ({weight}.norm() + 0.1)"
    b.emit(f"F.linear({x}, {made})", (*x.space, width), x.last)
