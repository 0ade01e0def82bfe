"""Operations of random networks that run along positions: recurrent layers and cells, Fourier transforms."""

from tests.network_builder import Builder, Numbers, is_line, is_vector, operation

HIDDEN = (4, 3, 6)
"""Numbers of hidden channels."""


@operation
def recurrent(b: Builder, n: Numbers) -> None:
    """An LSTM, GRU or plain recurrent layer over a sequence: all states, or the last of the last layer."""
    if not (x := b.sequence(n[0], is_line)):
        return
    kind, hidden = ("LSTM", "GRU", "RNN")[n[1] % 3], HIDDEN[n[2] % len(HIDDEN)]
    layers, ways, bias = 1 + n[3] % 2, 1 + n[4] % 2, n[5] % 4 != 3
    options = "".join([
        ", num_layers=2" if layers == 2 else "",
        ", bidirectional=True" if ways == 2 else "",
        "" if bias else ", bias=False",
    ])  # fmt: skip
    layer = b.attribute(f"nn.{kind}({x.channels}, {hidden}, batch_first=True{options})")
    if n[6] % 3 == 2:
        b.emit(f"{layer}({x})[1]{'[0]' if kind == 'LSTM' else ''}[-1]", (hidden,))
    else:
        b.emit(f"{layer}({x})[0]", (*x.space, ways * hidden), True)


@operation
def cell(b: Builder, n: Numbers) -> None:
    """Two steps of a recurrent cell on a vector, from a state that a linear layer makes of it or from zero."""
    if not (x := b.pick(n[0], is_vector)):
        return
    kind, hidden = ("GRUCell", "RNNCell", "LSTMCell")[n[1] % 3], HIDDEN[n[2] % len(HIDDEN)]
    layer = b.attribute(f"nn.{kind}({x.channels}, {hidden})")
    start = f", {b.let(f'torch.tanh({b.linear(x.channels, hidden)}({x}))')}" if n[3] % 2 == 0 else ""
    if kind == "LSTMCell":
        first = b.let(f"{layer}({x}{f', ({start[2:]}, {start[2:]})' if start else ''})")
        b.emit(f"{layer}({x}, {first})[0]", (hidden,))
    else:
        b.emit(f"{layer}({x}, {layer}({x}{start}))", (hidden,))


@operation
def spectrum(b: Builder, n: Numbers) -> None:
    """A Fourier transform along one dimension or two, or there and back with a gain for each frequency."""
    if not (x := b.any(n[0], lambda value: len(value.shape) > 1)):
        return
    at = n[1] % len(x.shape)
    dim, size = at + 1, x.shape[at]
    if n[2] % 3 == 0:
        other = (at + 1) % len(x.shape) + 1
        b.emit(f"torch.fft.fft(torch.fft.fft({x}, dim={dim}), dim={other}).real", x.shape, x.last)
    elif n[2] % 3 == 1:
        shape = (*x.shape[:at], size // 2 + 1, *x.shape[at + 1 :])
        b.emit(f"torch.fft.rfft({x}, dim={dim}).real", shape, x.last)
    elif size > 1:
        sizes = [1] * len(x.shape)
        sizes[at] = size // 2 + 1
        gain = b.attribute(f"nn.Parameter(torch.randn(1, {', '.join(map(str, sizes))}))")
        b.emit(f"torch.fft.irfft(torch.fft.rfft({x}, dim={dim}) * {gain}, n={size}, dim={dim})", x.shape, x.last)
