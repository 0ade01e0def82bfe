"""What adding into some channels costs more than adding, beside layers: `python -m benchmarks.merging`.

In multiplications for each element of the sum, from which `scfx.removal.worth.ADDING` is chosen: processor time,
forward and backward, of one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from scfx.nodes.merging import MERGE

#: How often each is timed; the shortest counts.
TIMES = 15

#: A layer, its input's shape, the dim of its channels, and whether channels come last in memory.
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...], int, bool]] = {
    "convolution": (nn.Conv2d(128, 128, 3, padding=1), (16, 128, 16, 16), 1, False),
    "convolution, channels last": (nn.Conv2d(128, 128, 3, padding=1), (16, 128, 16, 16), 1, True),
    "linear": (nn.Linear(256, 256), (16, 128, 256), 2, False),
}


def _seconds(compute: Callable[[], Tensor]) -> float:
    """Processor time of a forward and a backward pass."""
    found = []
    for _ in range(TIMES):
        start = time.process_time()
        result = compute()
        result.backward(result.detach())
        found.append(time.process_time() - start)
    return min(found)


def measure(name: str) -> dict[str, float]:
    """Multiplications for each element of the sum that a merge costs more than a sum, by what its sides lack."""
    layer, shape, dim, last = LAYERS[name]
    torch.manual_seed(0)
    if last:
        layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it

    def leaf(channels: int) -> Tensor:
        made = torch.randn([channels if d == dim else size for d, size in enumerate(shape)])
        return (made.contiguous(memory_format=torch.channels_last) if last else made).requires_grad_()

    size = shape[dim]
    some, others = (sorted(torch.randperm(size)[: size * 3 // 4].tolist()) for _ in range(2))
    whole, part, other = leaf(size), leaf(len(some)), leaf(len(others))
    plain = _seconds(lambda: whole + whole)
    weight = layer.weight
    assert isinstance(weight, Tensor)
    multiplication = _seconds(lambda: layer(whole)) / (weight.numel() // size)
    merges: dict[str, Callable[[], Tensor]] = {
        "one lacks channels": lambda: MERGE(whole, part, dim, size, None, some),
        "both lack channels": lambda: MERGE(part, other, dim, size, some, others),
        "the sum lacks channels": lambda: MERGE(
            whole, part, dim, len(some), [some.index(n) if n in some else -1 for n in range(size)], None
        ),
    }
    return {what: (_seconds(compute) - plain) / multiplication for what, compute in merges.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in LAYERS:
        for what, number in measure(name).items():
            print(f"{name:28} {what:24} {number:6.0f}")
